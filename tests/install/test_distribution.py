"""What pip installs: one name everywhere, extras named where a package is missing, no mixing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pvnet
from pvnet.distribution import EXTRAS, NAME, install, missing, refuse_other
from pvnet.errors import MissingPackageError, MixedInstallError, PvnetError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(pvnet.__file__).parent
OTHER = "Metadata-Version: 2.4\nName: PVNet\nVersion: 5.3.26\nSummary: PVNet\n"


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def python(code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )


def put(folder: Path, metadata: str = OTHER, name: str = "pvnet-5.3.26.dist-info") -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "METADATA").write_text(metadata)
    return folder


def test_the_name_is_that_of_the_project():
    assert project()["name"] == NAME
    for wanted in project()["optional-dependencies"]["all"]:
        assert wanted.startswith(f"{NAME}[")


def test_every_extra_that_a_message_names_brings_the_package():
    extras = project()["optional-dependencies"]
    for package, extra in EXTRAS.items():
        brought = {re.split(r"[^\w-]", wanted)[0] for wanted in extras[extra]}
        assert {"rerun": "rerun-sdk"}.get(package, package) in brought


def test_pages_and_messages_install_this_project_and_not_the_other():
    from_pip = re.compile(r"""(?:pip install[^\n`]*["' ]|`)(pvnet[\w-]*)\[""")
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*")]
    sources = list((ROOT / "pvnet").rglob("*.py"))
    found = {
        (path.name, name)
        for path in [*pages, *sources]
        if path.is_file()
        for name in from_pip.findall(path.read_text(encoding="utf-8"))
    }
    assert len(found) > 3
    assert {name for _, name in found} == {NAME}


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; import pvnet\n"


@pytest.mark.parametrize(
    "use",
    [
        "import pvnet.ops",
        "import pvnet.nn",
        "from pvnet import ops",
        "import pvnet.train; pvnet.train.train",
        "import pvnet.data; pvnet.data.loader",
        "pvnet.models.par_densenet()",
    ],
)
def test_without_torch_the_error_names_the_extra(use):
    code = f"""{WITHOUT_TORCH}
from pvnet.errors import MissingPackageError
try:
    {use}
except MissingPackageError as error:
    assert isinstance(error, ModuleNotFoundError) and error.name == "torch"
    print(error)
"""
    done = python(code)
    assert install("torch") in done.stdout, done.stderr


def test_help_and_names_work_without_torch():
    code = f"""{WITHOUT_TORCH}
import pydoc
text = pydoc.render_doc(pvnet)
assert "depth-parallel" in text and "Graph" in text
assert hasattr(pvnet, "graph") and not hasattr(pvnet, "ops")
try:
    pvnet.ops
except pvnet.PvnetError as error:
    print(error)
"""
    done = python(code)
    assert install("torch") in done.stdout, done.stderr


def test_a_command_names_the_extra_of_a_missing_package():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pvnet.cli.__main__ import main\n"
        "sys.exit(main(['train', 'nothing.toml']))"
    )
    done = python(code)
    assert done.returncode == 1
    assert install("torch") in done.stderr


def test_a_package_of_no_extra_is_named_itself():
    error = missing(ModuleNotFoundError("No module named 'x'", name="x.y"), "here")
    assert isinstance(error, MissingPackageError)
    assert "Install the package x." in str(error)
    assert error.name == "x"


def test_the_other_projects_modules_among_ours_are_refused(tmp_path):
    (tmp_path / "pvnet").mkdir()
    refuse_other(str(tmp_path / "pvnet"), [])
    (tmp_path / "pvnet" / "load_model.py").touch()
    with pytest.raises(MixedInstallError, match=r"load_model\.py.*Run pip uninstall pvnet, then"):
        refuse_other(str(tmp_path / "pvnet"), [])


def test_the_other_projects_metadata_beside_ours_is_refused(tmp_path):
    put(tmp_path)
    with pytest.raises(MixedInstallError, match=r"got pvnet-5\.3\.26\.dist-info") as caught:
        refuse_other(str(tmp_path / "pvnet"), [])
    assert isinstance(caught.value, PvnetError)
    assert isinstance(caught.value, ImportError)


def test_the_other_project_elsewhere_on_the_path_is_a_warning(tmp_path):
    site = put(tmp_path / "site-packages")
    with pytest.warns(RuntimeWarning, match="another project") as caught:
        refuse_other(str(PACKAGE), [str(site), str(tmp_path), str(tmp_path / "no-packages")])
    assert len(caught) == 1


def test_our_own_metadata_is_no_other_project(tmp_path):
    ours = f"Name: pvnet\nSummary: {project()['description']}\n"
    put(tmp_path, ours, "pvnet-0.1.0.dist-info")  # before the distribution had its name
    put(tmp_path, OTHER, "pvnet_video-0.2.0.dist-info")
    put(tmp_path, OTHER, "pvnet_summation-1.2.5.dist-info")
    refuse_other(str(tmp_path / "pvnet"), [])


# Past the finder of an editable install, so that the package lies where the metadata does.
IMPORT = """import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in type(f).__module__]
sys.path.insert(0, sys.argv[1])
{}
"""


@pytest.mark.parametrize("use", ["import pvnet", "import pvnet.graph"])
def test_import_refuses_the_other_project(use, tmp_path):
    (tmp_path / "pvnet").symlink_to(PACKAGE, target_is_directory=True)
    assert python(IMPORT.format("import pvnet"), tmp_path).returncode == 0
    done = python(IMPORT.format(use), put(tmp_path))
    assert done.returncode == 1
    assert f"pip install --force-reinstall {NAME}" in done.stderr


def test_the_command_line_tells_when_the_other_project_has_replaced_ours(tmp_path):
    """It was installed last: `pvnet/__init__.py` is its own, `pvnet.cli` is ours."""
    (tmp_path / "pvnet").mkdir()
    # Of an editable install, the extension lies elsewhere.
    for item in (item for folder in pvnet.__path__ for item in Path(folder).iterdir()):
        if item.name not in ("__init__.py", "__pycache__", "models"):
            (tmp_path / "pvnet" / item.name).symlink_to(item)
    for name in ("__init__.py", "load_model.py"):
        (tmp_path / "pvnet" / name).write_text('"""PVNet source code."""\n')
    use = "from pvnet.cli.__main__ import main; sys.exit(main(['info']))"
    done = python(IMPORT.format(use), put(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("pvnet: [pvnet] another project's package")


def test_import_stays_light():
    """What every program that imports pvnet would wait for."""
    code = """import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
import pvnet
print(*{"importlib.metadata", "pathlib", "numpy", "json"} & set(sys.modules) - before)
"""
    done = python(code, PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
