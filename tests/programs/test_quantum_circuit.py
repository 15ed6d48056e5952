"""The variational energy of a circuit by its angles, and amplitudes as complex results."""

import numpy as np
import quantum_circuit

import tapeless as tl
from checking import check

ANGLES = np.linspace(-1.0, 1.3, 12)


def amplitudes(angles):
    return quantum_circuit.ansatz(angles, 2).run()


def physical(coupling, field):
    return quantum_circuit.energy(ANGLES[:6], 3, coupling, field)


def test_energy():
    check(quantum_circuit.energy, ANGLES)


def test_amplitudes():
    check(amplitudes, ANGLES[:8])


def test_energy_by_the_hamiltonian():
    check(physical, 1.1, 0.6)


def test_parameter_shift_rule_and_descent():
    gradient = tl.grad(quantum_circuit.energy)(ANGLES)
    for k in range(len(ANGLES)):
        shift = np.zeros_like(ANGLES)
        shift[k] = np.pi / 2
        plus, minus = quantum_circuit.energy(ANGLES + shift), quantum_circuit.energy(ANGLES - shift)
        np.testing.assert_allclose(gradient[k], 0.5 * (plus - minus), atol=1e-12)
    angles, step = ANGLES.copy(), tl.grad(quantum_circuit.energy)
    for _ in range(30):
        angles -= 0.1 * step(angles)
    assert quantum_circuit.energy(angles) < quantum_circuit.energy(ANGLES) - 0.5
