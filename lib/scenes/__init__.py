"""The embedded data: rendered street scenes and clips with known plates, corners and characters."""

from lib.scenes.layouts import KINDS
from lib.scenes.plates import LOOKS
from lib.scenes.render import clip, render
from lib.scenes.truth import VERSION, Character, Plate, Scene, encode

__all__ = ["KINDS", "LOOKS", "VERSION", "Character", "Plate", "Scene", "clip", "encode", "render"]
