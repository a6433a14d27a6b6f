"""Build steps: generates the gRPC code of `windrow_worker._proto` from the protos.

The protos are those of the repository, `../../proto`; a source distribution carries a copy in `proto`.
Everything else is in pyproject.toml.
"""

import re
import shutil
from importlib.resources import files
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
PACKAGE = "windrow_worker._proto"


def find_protos() -> Path:
    """The directory that has `windrow/v1/*.proto`."""
    for root in (HERE / "proto", HERE.parent.parent / "proto"):
        if (root / "windrow/v1/worker_service.proto").is_file():
            return root
    raise SystemExit(f"windrow-worker: no protos in {HERE / 'proto'} or {HERE.parent.parent / 'proto'}")


def generate(out: Path) -> None:
    """Writes the generated modules as `out/windrow/v1/*`, with imports from within `PACKAGE`."""
    from grpc_tools import protoc

    root = find_protos()
    protos = sorted(str(path.relative_to(root)) for path in root.glob("windrow/v1/*.proto"))
    shutil.rmtree(out / "windrow", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        f"--proto_path={root}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        *protos,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("windrow-worker: protoc has failed")
    for directory in (out / "windrow", out / "windrow/v1"):
        (directory / "__init__.py").write_text('"""Generated from the protos of Windrow."""\n')
    for path in (out / "windrow/v1").glob("*_pb2*.py*"):
        text = re.sub(r"^from windrow\.v1 import", f"from {PACKAGE}.windrow.v1 import", path.read_text(), flags=re.M)
        path.write_text(text)


class BuildPy(build_py):
    """Adds the generated modules: to the build, or to the sources for an editable install."""

    def run(self) -> None:
        super().run()
        root = HERE / "src" if self.editable_mode else Path(self.build_lib)
        generate(root.joinpath(*PACKAGE.split(".")))


class Sdist(sdist):
    """Adds the protos."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        out = Path(base_dir) / "proto/windrow/v1"
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(find_protos().glob("windrow/v1/*.proto")):
            shutil.copy(path, out / path.name)


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
