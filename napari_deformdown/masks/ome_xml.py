"""OME-XML of a mask: pixel size and place, classes and record as structured annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from .source import Window

__all__ = ["CLASSES", "RECORD", "classes_of_xml", "ome_xml", "record_of_xml"]

# Namespaces of the annotations.
CLASSES, RECORD = "napari-deformdown/classes", "napari-deformdown/record"
_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome_xml(window: Window, name: str, record: Mapping[str, Any]) -> str:
    """The description of an OME-TIFF of one plane, valid by the schema 2016-06.

    Classes are a MapAnnotation with the keys "0", "1", ... for names and "0 color", ... for colours ("#rrggbb"); the
    record is a CommentAnnotation of JSON.
    """
    rows, columns = window.shape
    root = ET.Element(
        "OME",
        {
            "xmlns": _OME,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{_OME} {_OME}/ome.xsd",
            "Creator": "napari-deformdown",
        },
    )
    # XML has no place for bytes of a file's name that are no text
    name = name.encode("utf-8", "replace").decode("utf-8")
    image = ET.SubElement(root, "Image", ID="Image:0", Name=name)
    size: dict[str, str] = {}
    if window.pixel_size is not None:
        for axis, length in zip("YX", window.pixel_size, strict=True):
            size |= {f"PhysicalSize{axis}": repr(length), f"PhysicalSize{axis}Unit": "µm"}
    pixels = ET.SubElement(
        image,
        "Pixels",
        {"ID": "Pixels:0", "DimensionOrder": "XYCZT", "Type": "uint8"}
        | {"SizeX": str(columns), "SizeY": str(rows), "SizeC": "1", "SizeZ": "1", "SizeT": "1"}
        | size,
    )
    ET.SubElement(pixels, "Channel", ID="Channel:0:0", Name="classes", SamplesPerPixel="1")
    ET.SubElement(pixels, "TiffData", IFD="0", PlaneCount="1")
    unit = "µm" if window.source.pixel_size is not None else "pixel"
    plane = {"TheC": "0", "TheZ": "0", "TheT": "0"}
    for axis, place in zip("YX", window.position(), strict=True):
        plane |= {f"Position{axis}": repr(place), f"Position{axis}Unit": unit}
    ET.SubElement(pixels, "Plane", plane)
    for number in range(2):
        ET.SubElement(image, "AnnotationRef", ID=f"Annotation:{number}")
    notes = ET.SubElement(root, "StructuredAnnotations")
    classes = ET.SubElement(notes, "MapAnnotation", ID="Annotation:0", Namespace=CLASSES)
    value = ET.SubElement(classes, "Value")
    for i, entry in enumerate(window.classes):
        ET.SubElement(value, "M", K=str(i)).text = entry.name
        ET.SubElement(value, "M", K=f"{i} color").text = entry.color
    comment = ET.SubElement(notes, "CommentAnnotation", ID="Annotation:1", Namespace=RECORD)
    ET.SubElement(comment, "Value").text = json.dumps(record)
    # description tags are ASCII by the TIFF standard: other letters as character references
    text: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return text.decode("ascii")


def classes_of_xml(xml: str) -> list[tuple[str, str]]:
    """Names and colours in the order of their ids, from `ome_xml`; nothing where there are none."""
    found: dict[str, str] = {}
    for entry in _annotation(xml, "MapAnnotation", CLASSES, "M"):
        found[entry.get("K", "")] = entry.text or ""
    count = next(i for i in range(len(found) + 1) if str(i) not in found)
    return [(found[str(i)], found.get(f"{i} color", "")) for i in range(count)]


def record_of_xml(xml: str) -> dict[str, Any]:
    """The record from `ome_xml`; nothing where there is none."""
    for entry in _annotation(xml, "CommentAnnotation", RECORD, "Value"):
        try:
            found = json.loads(entry.text or "")
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def _annotation(xml: str, kind: str, namespace: str, inside: str) -> list[ET.Element]:
    try:
        root = ET.fromstring(xml)
    except (ET.ParseError, ValueError):
        return []
    notes = [n for n in root.iter(f"{{{_OME}}}{kind}") if n.get("Namespace") == namespace]
    return [entry for note in notes for entry in note.iter(f"{{{_OME}}}{inside}")]
