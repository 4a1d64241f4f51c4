"""The kubectl plugin's manifest obeys krew, and its launcher finds a Python that fits."""

import hashlib
import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from deploy.krew import LAUNCHER, PLATFORMS, manifest, merge, packed, pythons
from tests.deploy.dockerfile import ROOT
from webhook import __version__


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    made = {each: tmp_path / f"{each.replace('/', '_')}.tar.gz" for each in PLATFORMS}
    for platform, path in made.items():
        path.write_bytes(platform.encode())
    return made


class TestManifest:
    def test_it_is_one_that_krew_accepts(self, archives: dict[str, Path]) -> None:
        """What krew's own validation asks of a plugin."""
        given = yaml.safe_load(yaml.safe_dump(manifest(archives)))
        assert given["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
        assert given["kind"] == "Plugin"
        assert re.fullmatch(r"[\w-]+", given["metadata"]["name"])
        spec = given["spec"]
        assert re.fullmatch(r"v\d+\.\d+\.\d+(-[\w.]+)?", spec["version"])
        assert spec["version"] == f"v{__version__}"
        assert 0 < len(spec["shortDescription"]) <= 60
        assert "\n" not in spec["shortDescription"]
        assert spec["description"]
        assert spec["caveats"]
        for platform in spec["platforms"]:
            assert set(platform) == {"selector", "uri", "sha256", "bin"}
            assert re.fullmatch(r"[0-9a-f]{64}", platform["sha256"])
            assert re.search(r"\.(tar\.gz|zip)$", platform["uri"])

    def test_krew_finds_the_command_behind_the_name(self, archives: dict[str, Path]) -> None:
        """It links the file `bin` as kubectl-NAME, with `_` for `-`."""
        given = manifest(archives)
        assert given["metadata"]["name"] == "endpoints-guard"
        assert {each["bin"] for each in given["spec"]["platforms"]} == {LAUNCHER}
        assert f"kubectl-{given['metadata']['name'].replace('-', '_')}" == LAUNCHER

    def test_each_platform_has_its_own_archive(self, archives: dict[str, Path]) -> None:
        platforms = manifest(archives)["spec"]["platforms"]
        labels = [each["selector"]["matchLabels"] for each in platforms]
        assert [f"{each['os']}/{each['arch']}" for each in labels] == list(PLATFORMS)
        sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in archives.values()]
        assert [each["sha256"] for each in platforms] == sums
        assert len({each["uri"] for each in platforms}) == len(PLATFORMS)


class TestArchive:
    def test_the_same_content_makes_the_same_bytes(self, tmp_path: Path) -> None:
        for folder, names in (("one", "ab"), ("two", "ba")):
            for name in names:
                (tmp_path / folder / name).mkdir(parents=True)
                (tmp_path / folder / name / "file").write_text(name)
        os.utime(tmp_path / "two" / "a" / "file", (1, 1))
        assert packed(tmp_path / "one") == packed(tmp_path / "two")

    def test_nobody_owns_it_and_only_the_launcher_can_be_run(self, tmp_path: Path) -> None:
        for name in (LAUNCHER, "library.py"):
            (tmp_path / name).write_text("")
        with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as archive:
            found = {info.name: (info.mode, info.uid, info.uname) for info in archive}
        assert found == {LAUNCHER: (0o755, 0, ""), "library.py": (0o644, 0, "")}

    def test_versions_of_python_share_a_folder_unless_they_disagree(self, tmp_path: Path) -> None:
        trees = {
            "3.12": {"a/b.py": "same", "a/c.cpython-312.so": "12", "a.dist-info/RECORD": "12"},
            "3.13": {"a/b.py": "same", "a/c.cpython-313.so": "13", "a.dist-info/RECORD": "13"},
            "3.14": {"a/b.py": "other"},
        }
        for version, files in trees.items():
            for name, text in files.items():
                path = tmp_path / version / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        library = tmp_path / "lib"
        merge(tmp_path / "3.12", library)
        merge(tmp_path / "3.13", library)
        assert {p.name for p in library.rglob("*") if p.is_file()} == {
            *("b.py", "c.cpython-312.so", "c.cpython-313.so"),
        }
        with pytest.raises(ValueError, match=r"a/b\.py is not the same for every version"):
            merge(tmp_path / "3.14", library)


class TestLauncher:
    @pytest.fixture
    def plugin(self, tmp_path: Path) -> Path:
        """The launcher where krew would put it, with a program that says what it was run with."""
        names = " ".join(f"python{each}" for each in pythons())
        text = (ROOT / "deploy" / LAUNCHER).read_text(encoding="utf-8")
        (tmp_path / "store").mkdir()
        launcher = tmp_path / "store" / LAUNCHER
        launcher.write_text(text.replace("@PYTHONS@", names), encoding="utf-8")
        launcher.chmod(0o755)
        (tmp_path / "bin").mkdir()
        link = tmp_path / "bin" / LAUNCHER
        link.symlink_to(f"../store/{LAUNCHER}")
        return link

    def run(self, plugin: Path, **found: str) -> subprocess.CompletedProcess[str]:
        """Run it where these commands are Pythons of these versions."""
        path = plugin.parents[1] / "path"
        path.mkdir()
        for name, version in found.items():
            fake = path / name.replace("_", ".")
            answer = f'if [ "$1" = -c ]; then echo python{version}; else echo {version} "$@"; fi'
            fake.write_text(f"#!/bin/sh\n{answer}\n")
            fake.chmod(0o755)
        for needed in ("dirname", "readlink"):
            (path / needed).symlink_to(f"/usr/bin/{needed}")
        return subprocess.run(
            ["/bin/sh", str(plugin), "check", "a b"],
            env={"PATH": str(path)},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_it_takes_python3_if_that_fits(self, plugin: Path) -> None:
        program = plugin.parents[1] / "store" / f"{LAUNCHER}.py"
        done = self.run(plugin, python3="3.12", python3_13="3.13")
        assert done.stdout == f"3.12 -I {program} check a b\n"

    def test_it_passes_over_one_that_is_too_old_or_too_new(self, plugin: Path) -> None:
        done = self.run(plugin, python3="3.9", python3_11="3.11", python3_99="3.99")
        assert done.stdout.startswith("3.11 -I ")

    def test_without_any_it_says_what_it_needs(self, plugin: Path) -> None:
        done = self.run(plugin, python3="3.9")
        assert done.returncode == 2
        names = " ".join(f"python{each}" for each in pythons())
        assert (
            done.stderr
            == f"kubectl endpoints-guard needs one of {names} in PATH, and found none.\n"
        )
