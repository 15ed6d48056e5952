"""A state-vector simulator: gate objects, a layered circuit, the energy of a spin chain."""

import numpy as np

I2 = np.eye(2, dtype=complex)
X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.array([[1, 0], [0, -1]], dtype=complex)


class Gate:
    """A unitary on some qubits."""

    targets = ()

    def matrix(self):
        raise NotImplementedError

    def __matmul__(self, state):
        n = state.ndim
        k = len(self.targets)
        u = self.matrix().reshape((2,) * (2 * k))
        moved = np.tensordot(u, state, axes=(tuple(range(k, 2 * k)), self.targets))
        rest = [q for q in range(n) if q not in self.targets]
        return np.transpose(moved, np.argsort(list(self.targets) + rest))

    def __repr__(self):
        return f"{type(self).__name__}{self.targets}"


class Hadamard(Gate):
    def __init__(self, target):
        self.targets = (target,)

    def matrix(self):
        return (X + Z) / np.sqrt(2)


class Rotation(Gate):
    axis = None

    def __init__(self, angle, target):
        self.angle = angle
        self.targets = (target,)

    def matrix(self):
        return np.cos(self.angle / 2) * I2 - 1j * np.sin(self.angle / 2) * self.axis


class Rx(Rotation):
    axis = X


class Ry(Rotation):
    axis = Y


class Rz(Rotation):
    axis = Z


class CNot(Gate):
    def __init__(self, control, target):
        self.targets = (control, target)

    def matrix(self):
        m = np.eye(4, dtype=complex)
        m[2:, 2:] = X
        return m


class Circuit:
    def __init__(self, qubits):
        self.qubits = qubits
        self.gates = []

    def add(self, gate):
        self.gates.append(gate)
        return self

    def run(self):
        state = np.zeros((2,) * self.qubits, dtype=complex)
        state[(0,) * self.qubits] = 1.0
        for gate in self.gates:
            state = gate @ state
        return state


def ansatz(angles, qubits):
    """Layers of rotations and a ladder of CNOTs."""
    circuit = Circuit(qubits)
    parameters = iter(angles)
    for q in range(qubits):
        circuit.add(Hadamard(q))
    for _ in range(len(angles) // (2 * qubits)):
        for q in range(qubits):
            circuit.add(Ry(next(parameters), q)).add(Rz(next(parameters), q))
        for q in range(qubits - 1):
            circuit.add(CNot(q, q + 1))
    return circuit


class SinglePauli(Gate):
    def __init__(self, pauli, target):
        self.pauli = pauli
        self.targets = (target,)

    def matrix(self):
        return self.pauli


def expectation(state, *paulis):
    moved = state
    for p in paulis:
        moved = p @ moved
    return np.vdot(state, moved).real


def energy(angles, qubits=3, coupling=1.0, field=0.7):
    """<psi| -J sum Z Z - h sum X |psi> of the open chain."""
    state = ansatz(angles, qubits).run()
    total = 0.0
    for q in range(qubits - 1):
        total -= coupling * expectation(state, SinglePauli(Z, q), SinglePauli(Z, q + 1))
    for q in range(qubits):
        total -= field * expectation(state, SinglePauli(X, q))
    return total
