"""A small ray tracer: spheres, one point light, shadows and one reflection."""

import math


class Vec3:
    def __init__(self, x, y, z):
        self.x, self.y, self.z = x, y, z

    def __add__(self, other):
        return Vec3(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return Vec3(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, k):
        if isinstance(k, Vec3):
            return Vec3(self.x * k.x, self.y * k.y, self.z * k.z)
        return Vec3(self.x * k, self.y * k, self.z * k)

    __rmul__ = __mul__

    def __neg__(self):
        return Vec3(-self.x, -self.y, -self.z)

    def dot(self, other):
        return self.x * other.x + self.y * other.y + self.z * other.z

    @property
    def length(self):
        return math.sqrt(self.dot(self))

    def normalized(self):
        return self * (1.0 / self.length)

    def reflected(self, normal):
        return self - normal * (2.0 * self.dot(normal))

    def __iter__(self):
        return iter((self.x, self.y, self.z))

    def __repr__(self):
        return f"Vec3({self.x:.3f}, {self.y:.3f}, {self.z:.3f})"


class Ray:
    def __init__(self, origin, direction):
        self.origin = origin
        self.direction = direction.normalized()

    def at(self, t):
        return self.origin + self.direction * t


class Sphere:
    def __init__(self, center, radius, color, reflectivity=0.0):
        self.center = center
        self.radius = radius
        self.color = color
        self.reflectivity = reflectivity

    def intersect(self, ray):
        """Distance along the ray, or None."""
        to_center = ray.origin - self.center
        b = to_center.dot(ray.direction)
        c = to_center.dot(to_center) - self.radius**2
        discriminant = b * b - c
        if discriminant <= 0:
            return None
        root = math.sqrt(discriminant)
        for t in (-b - root, -b + root):
            if t > 1e-4:
                return t
        return None

    def normal_at(self, point):
        return (point - self.center).normalized()


class PointLight:
    def __init__(self, position, color, intensity=1.0):
        self.position = position
        self.color = color
        self.intensity = intensity

    def shade(self, point, normal):
        to_light = self.position - point
        distance = to_light.length
        cosine = normal.dot(to_light) / distance
        if cosine <= 0:
            return Vec3(0.0, 0.0, 0.0)
        return self.color * (self.intensity * cosine / (1.0 + 0.1 * distance * distance))


class Scene:
    background = Vec3(0.1, 0.1, 0.2)

    def __init__(self, objects, light):
        self.objects = list(objects)
        self.light = light

    def nearest(self, ray):
        hits = [(t, o) for o in self.objects if (t := o.intersect(ray)) is not None]
        return min(hits, key=lambda hit: hit[0], default=None)

    def in_shadow(self, point):
        ray = Ray(point, self.light.position - point)
        hit = self.nearest(ray)
        return hit is not None and hit[0] < (self.light.position - point).length

    def trace(self, ray, depth=1):
        hit = self.nearest(ray)
        if hit is None:
            return self.background
        distance, thing = hit
        point = ray.at(distance)
        normal = thing.normal_at(point)
        point = point + normal * 1e-3
        color = thing.color * 0.1
        if not self.in_shadow(point):
            color = color + thing.color * self.light.shade(point, normal)
        if depth > 0 and thing.reflectivity > 0:
            mirrored = self.trace(Ray(point, ray.direction.reflected(normal)), depth - 1)
            color = color * (1.0 - thing.reflectivity) + mirrored * thing.reflectivity
        return color


def default_scene(light):
    return Scene(
        [
            Sphere(Vec3(0.0, 0.0, 5.0), 1.0, Vec3(0.9, 0.3, 0.2), reflectivity=0.3),
            Sphere(Vec3(1.2, 0.6, 4.0), 0.5, Vec3(0.2, 0.8, 0.4)),
            Sphere(Vec3(0.0, -101.0, 5.0), 100.0, Vec3(0.6, 0.6, 0.6)),
        ],
        light,
    )


def render(scene, width, height):
    """Rows of pixels, each a list of three colour components."""
    eye = Vec3(0.0, 0.0, 0.0)
    image = []
    for j in range(height):
        row = []
        for i in range(width):
            direction = Vec3((i + 0.5) / width - 0.5, 0.5 - (j + 0.5) / height, 1.0)
            row.append(list(scene.trace(Ray(eye, direction))))
        image.append(row)
    return image
