"""A sine by its Taylor series, and its derivatives: loop, branches and prints stay as they are."""

import math

import tapeless as tl


def s(x):
    t, sign = 0.0, -1.0
    for i in range(1, 20):
        if i % 2 == 1:
            term = x**i / math.factorial(i)
            if abs(term) < 1e-8:
                return t
            print("i =", i)
            sign = -sign
            t += sign * term
    return t


if __name__ == "__main__":
    value, slope = tl.value_and_grad(s)(0.5)
    print(f"s(0.5)  = {value:.9f}, sin(0.5) = {math.sin(0.5):.9f}")
    print(f"s'(0.5) = {slope:.9f}, cos(0.5) = {math.cos(0.5):.9f}")
    print(tl.source(tl.grad(s), 0.5))
