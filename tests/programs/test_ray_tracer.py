"""The image of a scene by the position of its light, and by the scene itself."""

import ray_tracer
from ray_tracer import PointLight, Ray, Sphere, Vec3

from checking import check


def brightness(x, y, z):
    light = PointLight(Vec3(x, y, z), Vec3(1.0, 0.9, 0.8), intensity=2.0)
    image = ray_tracer.render(ray_tracer.default_scene(light), 5, 4)
    return sum(sum(sum(pixel) for pixel in row) for row in image)


def image_by_light(light):
    return ray_tracer.render(ray_tracer.default_scene(light), 3, 3)


def pixel_by_scene(scene):
    return list(scene.trace(Ray(Vec3(0.0, 0.0, 0.0), Vec3(0.02, 0.01, 1.0))))


def test_brightness_by_coordinates():
    check(brightness, -2.0, 3.0, 1.0, step=1e-3)


def test_image_by_a_light_object():
    check(image_by_light, PointLight(Vec3(-2.0, 3.0, 1.0), Vec3(1.0, 0.9, 0.8)), step=1e-3)


def test_pixel_by_the_whole_scene():
    light = PointLight(Vec3(-2.0, 3.0, 1.0), Vec3(1.0, 0.9, 0.8))
    check(pixel_by_scene, ray_tracer.default_scene(light), step=1e-4, rtol=1e-5)


def test_distance_to_a_sphere():
    sphere = Sphere(Vec3(0.2, 0.1, 4.0), 1.0, Vec3(1.0, 1.0, 1.0))
    check(lambda s: s.intersect(Ray(Vec3(0.0, 0.0, 0.0), Vec3(0.1, 0.0, 1.0))), sphere)
