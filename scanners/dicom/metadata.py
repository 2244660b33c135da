"""Which attributes of headers go into a reference set, and under which names.

Headers identify patients. By default only attributes of the list below are written: what the
image is, how its pixels, planes and technique are described. None of them has an action in the
Basic Application Level Confidentiality Profile (PS3.15, table E.1-1). A list of what is allowed
stays safe when the standard, or a vendor, adds attributes; a list of what is forbidden does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import FormatError, MetadataError
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.dicom.values import Dataset

__all__ = [
    "MODES",
    "SAFE",
    "SHOWN_OTHERWISE",
    "Selection",
    "attribute_values",
    "name_of",
    "presentable",
    "selection",
]

MODES = ("safe", "all", "none")
_TEXT_LIMIT = 1024
"""Characters of one value; longer ones are no description of an image."""
_VALUES = 64
"""Values of one attribute."""
_CODE = re.compile(r"[A-Z0-9 _.+\-/]{1,32}", re.IGNORECASE)
"""What a code string looks like, the common offences against PS3.5, 6.2 included."""

_NAMES = """
00080008 image_type
00080060 modality
00080064 conversion_type
00080068 presentation_intent_type
00082144 recommended_display_frame_rate
00089205 pixel_presentation
00089206 volumetric_properties
00089207 volume_based_calculation_technique
00089208 complex_image_component
00089209 acquisition_contrast
00180015 body_part_examined
00180020 scanning_sequence
00180021 sequence_variant
00180022 scan_options
00180023 mr_acquisition_type
00180040 cine_rate
00180050 slice_thickness
00180060 kvp
00180080 repetition_time
00180081 echo_time
00180082 inversion_time
00180083 number_of_averages
00180084 imaging_frequency
00180085 imaged_nucleus
00180086 echo_numbers
00180087 magnetic_field_strength
00180088 spacing_between_slices
00180089 number_of_phase_encoding_steps
00180090 data_collection_diameter
00180091 echo_train_length
00180093 percent_sampling
00180094 percent_phase_field_of_view
00180095 pixel_bandwidth
00181060 trigger_time
00181063 frame_time
00181066 frame_delay
00181090 cardiac_number_of_images
00181100 reconstruction_diameter
00181110 distance_source_to_detector
00181111 distance_source_to_patient
00181114 estimated_radiographic_magnification_factor
00181120 gantry_detector_tilt
00181130 table_height
00181147 field_of_view_shape
00181149 field_of_view_dimensions
00181150 exposure_time
00181151 xray_tube_current
00181152 exposure
00181160 filter_type
00181164 imager_pixel_spacing
00181190 focal_spots
00181210 convolution_kernel
00181242 actual_frame_duration
00181310 acquisition_matrix
00181312 in_plane_phase_encoding_direction
00181314 flip_angle
00181316 sar
00181318 db_dt
00185100 patient_position
00185101 view_position
00189004 content_qualification
00189073 acquisition_duration
00189075 diffusion_directionality
00189087 diffusion_b_value
00189306 single_collimation_width
00189307 total_collimation_width
00189309 table_speed
00189311 spiral_pitch_factor
00200011 series_number
00200012 acquisition_number
00200013 instance_number
00200060 laterality
00200062 image_laterality
00200100 temporal_position_identifier
00200105 number_of_temporal_positions
00200110 temporal_resolution
00201002 images_in_acquisition
00201041 slice_location
00209311 dimension_organization_type
00220039 ophthalmic_image_orientation
00280002 samples_per_pixel
00280004 photometric_interpretation
00280030 pixel_spacing
00280034 pixel_aspect_ratio
00280100 bits_allocated
00280101 bits_stored
00280102 high_bit
00280103 pixel_representation
00280120 pixel_padding_value
00280121 pixel_padding_range_limit
00280301 burned_in_annotation
00280302 recognizable_visual_features
00280A02 pixel_spacing_calibration_type
00281040 pixel_intensity_relationship
00281041 pixel_intensity_relationship_sign
00281050 window_center
00281051 window_width
00281052 rescale_intercept
00281053 rescale_slope
00281054 rescale_type
00281056 voi_lut_function
00282110 lossy_image_compression
00282112 lossy_image_compression_ratio
00282114 lossy_image_compression_method
00480001 imaged_volume_width
00480002 imaged_volume_height
00480003 imaged_volume_depth
00480006 total_pixel_matrix_columns
00480007 total_pixel_matrix_rows
00480010 specimen_label_in_image
00480011 focus_method
00480012 extended_depth_of_field
00480102 image_orientation_slide
00480112 objective_lens_power
00480113 objective_lens_numerical_aperture
00480303 total_pixel_matrix_focal_planes
00540081 number_of_slices
00540101 number_of_time_slices
00541000 series_type
00541001 units
00541002 counts_source
00541100 randoms_correction_method
00541101 attenuation_correction_method
00541102 decay_correction
00541300 frame_reference_time
00541321 decay_factor
00620001 segmentation_type
00620010 segmentation_fractional_type
0062000E maximum_fractional_value
20500020 presentation_lut_shape
30040002 dose_units
30040004 dose_type
3004000A dose_summation_type
3004000C grid_frame_offset_vector
3004000E dose_grid_scaling
"""
SAFE: dict[int, str] = {
    int(line[:8], 16): line[9:] for line in _NAMES.strip().splitlines()
}  # fmt: skip
"""Attributes that are written unless somebody says otherwise, by tag."""
SHOWN_OTHERWISE = frozenset({0x00280030, 0x00281052, 0x00281053, 0x3004000C, 0x3004000E})
"""Of these, what arrays say in another way: spacing, rescaling, the places of dose planes."""
_PRIVATE_OR_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ", ""})


class Selection(NamedTuple):
    """Which attributes are to be written.

    Parameters
    ----------
    mode : str
        One of `MODES`, or ``"list"``.
    tags : dict of int to str
        The names of chosen attributes, beside those that every mode needs for itself.
    """

    mode: str
    tags: dict[int, str]

    @property
    def identifies(self) -> bool:
        """Whether more than the list of safe attributes was asked for."""
        return self.mode == "all" or not self.tags.keys() <= SAFE.keys()

    def name(self, tag: int) -> str:
        """Return the name under which an attribute is written."""
        return self.tags.get(tag) or name_of(tag)


def selection(text: str) -> Selection:
    """Return the attributes that ``--metadata`` names.

    Parameters
    ----------
    text : str
        ``safe``, ``all``, ``none``, or tags with commas between them: eight hexadecimal
        digits, or the keyword of the standard; they come in addition to the safe ones.

    Raises
    ------
    MetadataError
        If there is no such attribute.
    """
    chosen = text.strip()
    if chosen == "none":
        return Selection("none", {})
    if chosen in ("safe", "all"):
        return Selection(chosen, dict(SAFE))
    tags = dict(SAFE)
    for part in chosen.split(","):
        tag = _tag(part.strip())
        tags.setdefault(tag, name_of(tag))
    return Selection("list", tags)


def _tag(text: str) -> int:
    digits = re.sub(r"[(), ]", "", text)
    if re.fullmatch(r"[0-9A-Fa-f]{8}", digits):
        return int(digits, 16)
    for tag, name in SAFE.items():
        if text.lower() in (name, name.replace("_", "")):
            return tag
    try:
        from pydicom.datadict import tag_for_keyword
    except ImportError:
        found = None
    else:
        found = tag_for_keyword(text)
    if found is None:
        raise MetadataError(
            f"setting metadata: {text!r} is no attribute",
            hint="safe, all, none, or tags such as 00181030 or ProtocolName (needs pydicom)",
        )
    return int(found)


def name_of(tag: int) -> str:
    """Return the name under which an attribute is written."""
    if tag in SAFE:
        return SAFE[tag]
    try:
        from pydicom.datadict import keyword_for_tag
    except ImportError:
        keyword = ""
    else:
        keyword = keyword_for_tag(tag)
    if not keyword:
        return f"tag_{tag:08X}"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", keyword).lower()


def attribute_values(
    header: Dataset, tags: Sequence[int], unread: set[int] | None = None
) -> dict[int, Any]:
    """Return the values of attributes as JSON values; what cannot be one is left out.

    Parameters
    ----------
    header : Dataset
        Where they stand.
    tags : sequence of int
        Which ones. Code strings of the safe list are written only if they look like codes.
    unread : set of int, optional
        Takes the tags of values that break the rules of their representation.
    """
    found: dict[int, Any] = {}
    for tag in tags:
        if tag not in header:
            continue
        vr = header.vr(tag)
        if vr in _PRIVATE_OR_BULK:
            continue
        try:
            value = header.get(tag)
        except FormatError:
            if unread is not None:
                unread.add(tag)
            continue
        if value is None or value == "" or (tag in SAFE and not presentable(value)):
            continue
        if isinstance(value, list):
            value = value[:_VALUES]
        found[tag] = tag_text(value) if vr == "AT" and isinstance(value, int) else _finite(value)
    return found


def presentable(value: Any) -> bool:
    """Tell whether a value of the safe list is a number or a code, not a text of somebody's."""
    if isinstance(value, list):
        return all(map(presentable, value))
    return not isinstance(value, str) or _CODE.fullmatch(value) is not None or not value


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value[:_TEXT_LIMIT] if isinstance(value, str) else value
