"""How often staging begins anew because a number must be known."""

import numpy as np

import tapeless as tl
from tapeless.backends.native.staging import stager


def chained(x, parents):
    """Each value is its parent's, times an element."""
    made = []
    for k, parent in enumerate(parents):
        made.append(x[k] if parent == -1 else made[parent] * x[k])
    return sum(made)


def test_of_a_list_of_integers_all_are_asked_for_at_once(monkeypatch):
    stagings = []
    plain = stager.Stager.__init__

    def counted(self, *args):
        stagings.append(1)
        plain(self, *args)

    monkeypatch.setattr(stager.Stager, "__init__", counted)
    x = np.linspace(0.5, 1.5, 12)
    gradient = tl.jit(tl.grad(chained), cache=False)
    for parents in ([-1, *range(11)], [-1] + 11 * [0]):
        del stagings[:]
        np.testing.assert_allclose(gradient(x, parents), tl.grad(chained)(x, parents), rtol=1e-13)
        assert len(stagings) <= 3
