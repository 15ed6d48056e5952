"""At which angle to throw a ball with air drag so that it flies farthest: a simulation with a while loop."""

import math

import tapeless as tl


class Ball:
    def __init__(self, speed, angle):
        self.x, self.y = 0.0, 0.0
        self.vx = speed * math.cos(angle)
        self.vy = speed * math.sin(angle)

    def move(self, dt, drag):
        speed = math.hypot(self.vx, self.vy)
        self.vx -= drag * speed * self.vx * dt
        self.vy -= (9.81 + drag * speed * self.vy) * dt
        self.x += self.vx * dt
        self.y += self.vy * dt


def distance(angle, speed=30.0, drag=0.02):
    ball = Ball(speed, angle)
    while True:
        x, y = ball.x, ball.y
        ball.move(0.01, drag)
        if ball.y < 0.0:
            return x + (ball.x - x) * y / (y - ball.y)


if __name__ == "__main__":
    angle = 1.0
    for _ in range(30):
        angle += 0.01 * tl.grad(distance)(angle)
    print(f"{math.degrees(angle):.2f} degrees: {distance(angle):.3f} m")
    print(f"45.00 degrees: {distance(math.pi / 4):.3f} m")
    assert abs(tl.grad(distance)(angle)) < 0.5
