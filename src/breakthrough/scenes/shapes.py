"""Triangle meshes built from a few solids. Flat faces: every face has its own vertices and normals.

Legend: V vertices, F triangles. Lengths in metres; faces turn counter-clockwise seen from outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles in the body's own frame.

    Shapes: vertices (V, 3), normals (V, 3), uvs (V, 2) in [0, 1], faces (F, 3)
    """

    vertices: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray


def polygon(corners: ArrayLike, uv_size_m: float) -> Mesh:
    """A flat convex polygon, counter-clockwise seen from its front.

    Shapes: corners (P, 3)
    """
    points = np.asarray(corners, dtype=float)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    normal /= np.linalg.norm(normal)
    axes = np.argsort(-np.abs(normal))[1:]  # the two axes the polygon lies along
    uvs = np.clip(points[:, np.sort(axes)] / uv_size_m + 0.5, 0, 1)
    fan = [(0, i, i + 1) for i in range(1, len(points) - 1)]
    return Mesh(points, np.tile(normal, (len(points), 1)), uvs, np.array(fan))


def join(*meshes: Mesh) -> Mesh:
    """One mesh out of several."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uvs for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets)]),
    )


def ring(radius_m: float, sides: int, z_m: float, turn_rad: float = 0.0) -> np.ndarray:
    """The corners of a regular polygon around the z axis, counter-clockwise from above.

    Shapes: → (sides, 3)
    """
    angle = turn_rad + np.arange(sides) * 2 * np.pi / sides
    return np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle), np.full(sides, z_m)], axis=1)


def wall(lower: np.ndarray, upper: np.ndarray, uv_size_m: float) -> Mesh:
    """The band between two rings, facing outwards when they turn counter-clockwise, inwards otherwise.

    Shapes: lower (P, 3), upper (P, 3)
    """
    following = np.roll(np.arange(len(lower)), -1)
    return join(*(polygon([lower[i], lower[j], upper[j], upper[i]], uv_size_m) for i, j in enumerate(following)))


def prism(outline: np.ndarray, bottom_m: float, top_m: float, uv_size_m: float, base: bool = True) -> Mesh:
    """An upright solid over a convex outline.

    Shapes: outline (P, 2) or (P, 3), counter-clockwise from above
    """
    lower = np.column_stack([outline[:, :2], np.full(len(outline), bottom_m)])
    upper = np.column_stack([outline[:, :2], np.full(len(outline), top_m)])
    parts = [wall(lower, upper, uv_size_m), polygon(upper, uv_size_m)]
    return join(*parts, *([polygon(lower[::-1], uv_size_m)] if base else []))


def box(half_m: tuple[float, float, float], uv_size_m: float, center_m: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    """A box with its faces along the axes."""
    (x, y, z), (cx, cy, cz) = half_m, center_m
    outline = np.array([[cx - x, cy - y], [cx + x, cy - y], [cx + x, cy + y], [cx - x, cy + y]])
    return prism(outline, cz - z, cz + z, uv_size_m)


def washer(inner_m: float, outer_m: float, bottom_m: float, top_m: float, sides: int, uv_size_m: float) -> Mesh:
    """An upright solid with a hole; with 6 sides a nut."""
    inside, outside = ring(inner_m, sides, 0), ring(outer_m, sides, 0)
    parts = []
    for z, flip in ((bottom_m, True), (top_m, False)):
        parts.append(_annulus(inside + np.array([0, 0, z]), outside + np.array([0, 0, z]), flip, uv_size_m))
    parts.append(wall(outside + np.array([0, 0, bottom_m]), outside + np.array([0, 0, top_m]), uv_size_m))
    parts.append(wall((inside + np.array([0, 0, bottom_m]))[::-1], (inside + np.array([0, 0, top_m]))[::-1], uv_size_m))
    return join(*parts)


def _annulus(inside: np.ndarray, outside: np.ndarray, flip: bool, uv_size_m: float) -> Mesh:
    following = np.roll(np.arange(len(inside)), -1)
    quads = [[inside[i], outside[i], outside[j], inside[j]] for i, j in enumerate(following)]
    return join(*(polygon(quad[::-1] if flip else quad, uv_size_m) for quad in quads))


def holed_square(half_m: float, hole_m: float, sides: int, z_m: float, uv_size_m: float) -> Mesh:
    """A square of a plate's top with a round hole in it.

    The part of the top that surrounds a bolt hole; `sides` must be a multiple of 4.
    """
    inside = ring(hole_m, sides, z_m, np.pi / 4)
    angle = np.pi / 4 + np.arange(sides) * 2 * np.pi / sides
    reach = half_m / np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle)))
    outside = np.stack([reach * np.cos(angle), reach * np.sin(angle), np.full(sides, z_m)], axis=1)
    return _annulus(inside, outside, False, uv_size_m)


def bore(hole_m: float, sides: int, depth_m: float, uv_size_m: float) -> Mesh:
    """The wall and the floor of a round hole that opens at z = 0; fits `holed_square` of as many sides."""
    rim = ring(hole_m, sides, 0, np.pi / 4)
    floor = rim - [0, 0, depth_m]
    return join(wall(floor[::-1], rim[::-1], uv_size_m), polygon(floor, uv_size_m))


def moved(mesh: Mesh, offset_m: tuple[float, float, float]) -> Mesh:
    """The mesh shifted; its texture stays where it was on the mesh."""
    return Mesh(mesh.vertices + np.asarray(offset_m), mesh.normals, mesh.uvs, mesh.faces)


def strip(path: np.ndarray, width_m: np.ndarray, uv_size_m: float) -> Mesh:
    """A flat band along a path in the plane z = 0, facing up.

    Shapes: path (P, 2), width_m (P,)
    """
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    left = np.column_stack([path + across * width_m[:, None] / 2, np.zeros(len(path))])
    right = np.column_stack([path - across * width_m[:, None] / 2, np.zeros(len(path))])
    quads = ([right[i], right[i + 1], left[i + 1], left[i]] for i in range(len(path) - 1))
    return join(*(polygon(quad, uv_size_m) for quad in quads))


def wavefront(mesh: Mesh, scale: float = 1.0) -> str:
    """The mesh as the text of an .obj file, its lengths times `scale`."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in scale * mesh.vertices]
    lines += [f"vt {u:.6g} {v:.6g}" for u, v in mesh.uvs]
    lines += [f"vn {x:.6g} {y:.6g} {z:.6g}" for x, y, z in mesh.normals]
    lines += ["f " + " ".join(f"{i}/{i}/{i}" for i in face) for face in mesh.faces + 1]
    return "\n".join(lines) + "\n"
