"""Options of earlier versions are understood, and shown nowhere."""

from __future__ import annotations

import click
import pytest

import refmaker
from refmaker.cli import VERBS, main
from refmaker.errors import MetadataError
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import scanners, setting_values

FORMER = {
    ("scan", "--inline"): "--inline-threshold",
    ("scan", "--name"): "--name-template",
    ("scan", "--trust-stride"): "--infer-ifds",
    ("scan", "--missing-siblings"): "--missing-files",
    ("scan", "--sidecar"): "--index-files",
    ("scan", "--bits"): "--unused-bits",
    ("scan", "--slides"): "--slide-axes",
    ("combine", "--any-order"): "--no-monotonic",
    ("combine", "--split-eras"): "--split-incompatible",
    ("combine", "--inline-odd"): "--inline-mismatched",
    ("combine", "--to"): "--out-format",
    ("scan", "--any-order"): "--no-monotonic",
    ("scan", "--split-eras"): "--split-incompatible",
    ("scan", "--inline-odd"): "--inline-mismatched",
    ("append", "--any-order"): "--no-monotonic",
    ("append", "--split-eras"): "--split-incompatible",
    ("append", "--inline-odd"): "--inline-mismatched",
    ("convert", "--to"): "--out-format",
    ("pattern", "--to"): "--out-format",
    ("pattern", "--like"): "--scanned-file",
    ("pattern", "--layout"): "--chunk-source",
    ("pattern", "--check"): "--check-files",
    ("pattern", "--existing"): "--allow-missing",
    ("pattern", "--shared"): "--identical-variables",
    ("pattern", "--varying"): "--concat-variables",
    **{
        (verb, old): new
        for verb in ("scan", "combine", "append")
        for old, new in (
            ("--shared", "--identical-variables"),
            ("--varying", "--concat-variables"),
            ("--attributes", "--combine-attrs"),
            ("--static", "--compat"),
        )
    },
}


def options(verb):
    command = main.get_command(click.Context(main), verb)
    return command, command.get_params(click.Context(command))


def test_these_are_all():
    found = {
        (verb, old): parameter.opts[-1]
        for verb in VERBS
        for parameter in options(verb)[1]
        for old in getattr(parameter, "former", ())
    }
    assert found == FORMER


@pytest.mark.parametrize(("verb", "old"), FORMER)
def test_each_means_the_same_and_is_not_shown(verb, old, run):
    command, parameters = options(verb)
    [parameter] = [one for one in parameters if old in getattr(one, "former", ())]
    new = FORMER[verb, old]
    kinds = {"--inline": "2k", "--name": "{n}", "--to": "compact"}
    kinds |= {"--trust-stride": "yes", "--missing-siblings": "fill"}
    kinds |= {"--sidecar": "map", "--bits": "trust", "--slides": "native"}
    kinds |= {"--shared": "v", "--varying": "v", "--attributes": "first", "--static": "vary"}
    kinds |= {"--like": "z", "--layout": "file", "--check": "5"}
    value = [kinds[old]] if old in kinds else []
    rest = {"append": ["set", "input"], "convert": ["a", "b"]}.get(verb, ["input"])
    rest += ["-o", "x"] if verb in ("combine", "pattern") else []
    rest += ["--scanned-file", "y"] if verb == "pattern" and old != "--like" else []
    given = [
        command.make_context(verb, [*rest, flag, *value]).params[parameter.name]
        for flag in (old, new)
    ]
    assert given[0] == given[1] != parameter.default
    shown = run(verb, "--help-all" if verb in ("scan", "combine", "append") else "--help").out
    assert new in shown
    assert f"{old} " not in shown.replace("--chunks common", "")  # combine has its own --chunks


def test_sizes_of_chunks_as_they_were_given_before(run, files, tmp_path):
    run("scan", files["a"], "--chunk-bytes", "16", "-o", "new.json")
    run("scan", files["a"], "--chunks", "16", "-o", "old.json")
    assert (tmp_path / "old.json").read_bytes() == (tmp_path / "new.json").read_bytes()
    wrong = run("scan", files["a"], "--chunks", "common", "-o", "x.json", code=2)
    assert "--combine" in wrong.err


def test_one_former_name_of_settings_of_two_formats(run, files, tmp_path, monkeypatch):
    assert "--layout " not in run("scan", "--help-all").out
    one = ScanOptions(settings={"layout": "flat"})
    assert setting_values(scanners()["grib"], one)["grib-grouping"] == "flat"
    assert setting_values(scanners()["tiff"], one)["tiff-axes"] == "auto"
    other = ScanOptions(settings={"layout": "native"})
    assert setting_values(scanners()["grib"], other)["grib-grouping"] == "tree"
    assert setting_values(scanners()["tiff"], other)["tiff-axes"] == "native"
    with pytest.raises(MetadataError, match="grib-grouping or tiff-axes is 'round'"):
        setting_values(scanners()["grib"], ScanOptions(settings={"layout": "round"}))
    assert "is 'round'" in run("scan", files["a"], "--layout", "round", "-o", "x", code=1).err
    run("scan", files["a"], "--layout", "flat", "-o", "flag.json")
    monkeypatch.setenv("REFMAKER_SCAN_LAYOUT", "round")
    assert "is 'round'" in run("scan", files["a"], "-o", "x", code=1).err


def test_environment_variables_of_former_names(run, files, monkeypatch, tmp_path):
    monkeypatch.setenv("REFMAKER_SCAN_NAME", "old-{stem}.json")
    run("scan", files["a"])
    assert (tmp_path / "old-a.json").exists()
    monkeypatch.setenv("REFMAKER_SCAN_NAME_TEMPLATE", "new-{stem}.json")
    run("scan", files["a"])
    assert (tmp_path / "new-a.json").exists()


class TestCombineOptions:
    @pytest.mark.parametrize(
        ("old", "new", "value"),
        [
            ("eras", "incompatible", "split"), ("odd", "mismatched", "inline"),
            ("static", "compat", "vary"), ("attributes", "combine_attrs", "error"),
            ("shared", "identical_variables", ("a",)), ("varying", "concat_variables", ("a",)),
        ],
    )  # fmt: skip
    def test_former_keywords(self, old, new, value):
        made = refmaker.CombineOptions(**{old: value})
        assert getattr(made, new) == value
        assert made == refmaker.CombineOptions(**{new: value})
        assert old not in made.as_dict()

    def test_as_keywords_of_combine(self, files):
        refs = refmaker.scan(files["a"])
        with pytest.raises(ValueError, match="incompatible is 'perhaps'"):
            refmaker.combine([refs], eras="perhaps")

    def test_one_name_is_enough(self):
        with pytest.raises(TypeError, match="static is a former name of compat"):
            refmaker.CombineOptions(static="vary", compat="vary")

    def test_others_are_refused(self):
        with pytest.raises(TypeError, match="era"):
            refmaker.CombineOptions(era="split")
