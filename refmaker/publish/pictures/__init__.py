"""Pictures of what a set holds, for the report page and the viewer.

`subjects` tells from metadata what there is to be seen; a `Source` is the open set with a budget;
`look_at` reads what shows a subject, at places that are chosen or in the middle; `svg` and `png`
draw the look::

    source = Source(refs)
    for subject in subjects(refs):
        look = look_at(subject, source, {"time": 3})
        svg(look, source)
"""

from refmaker.publish.pictures.budget import PAGE, PICTURE, Budget, Cost
from refmaker.publish.pictures.figures import png, svg
from refmaker.publish.pictures.looks import Look, default_places, look_at
from refmaker.publish.pictures.source import Source
from refmaker.publish.pictures.subjects import Subject, subjects

__all__ = [
    "PAGE",
    "PICTURE",
    "Budget",
    "Cost",
    "Look",
    "Source",
    "Subject",
    "default_places",
    "look_at",
    "png",
    "subjects",
    "svg",
]
