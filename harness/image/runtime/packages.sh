#!/bin/sh
# Makes the packages image out of a base image: runs once, in a container without a network, whose file system is
# then kept. /wheelhouse is a volume of that container, so nothing of it stays behind:
#   packages/*.whl   what requirements*.txt name, fetched on the host with the host's own pip settings
#   tools/uv-*.whl   what installs them; it is not in the image
#   models/*         model files taken out of wheels
set -eu

python3 - <<'PYTHON'
import sys
if sys.version_info[:2] != (3, 11):
    sys.exit("BASE_IMAGE has Python %d.%d; Python 3.11 is needed" % sys.version_info[:2])
PYTHON

echo "Installing $(ls /wheelhouse/packages | wc -l) packages."
python3 -m venv --without-pip --symlinks /opt/venv
python3 - <<'PYTHON'
import glob, os, zipfile
with zipfile.ZipFile(*glob.glob("/wheelhouse/tools/uv-*.whl")) as wheel:
    (program,) = (name for name in wheel.namelist() if name.endswith("/scripts/uv"))
    with open("/wheelhouse/uv", "wb") as file:
        file.write(wheel.read(program))
os.chmod("/wheelhouse/uv", 0o755)
PYTHON
# Unpacked beside the environment and linked into it: no byte is written twice.
UV_CACHE_DIR=/opt/unpacked /wheelhouse/uv pip install --quiet --no-config --offline --no-index --no-deps \
    --link-mode=hardlink --python /opt/venv/bin/python3 /wheelhouse/packages/*.whl
rm -rf /opt/unpacked /opt/venv/lib/python3.11/site-packages/*.dist-info/uv_cache.json
mkdir /opt/models
cp /wheelhouse/models/* /opt/models/
chmod -R go+rX /opt/venv /opt/models

# torch's wheel carries its own C++ test programs: 130 MB that nothing uses.
site=/opt/venv/lib/python3.11/site-packages
rm -rf "$site/torch/test" "$site"/torch/bin/test_* "$site"/torch/bin/*Test

# The root file system is read-only when a package runs, so what is not compiled here is compiled at every start.
# unchecked-hash: the files never change, and no timestamp may make them look stale. Slim Python images come
# without the standard library's compiled files too. A few packages carry templates and newer syntax that do
# not compile; Python never imports them.
# Of the hundreds of models in transformers a package uses one or two: those it compiles itself, in a moment. So it
# is with what importing a package does not load: fonts for PDF files, highlighting, conversion, a window.
# Many files at a time, and no look for garbage: a third less work than `python3 -m compileall -j 0`.
echo "Compiling them for a quick start."
left_out='/tests?/|/transformers/models/|/torch/testing/_internal/(common_methods|generated/|opinfo/)'
left_out="$left_out|/fontTools/(?!misc/)[^/]+/|/pygments/lexers/|/onnxruntime/(transformers|quantization|tools)/|/insightface/gui/"
python3 -W ignore - "$left_out|/sympy/physics/" <<'PYTHON'
import gc, os, re, sys, sysconfig
from concurrent.futures import ProcessPoolExecutor
from importlib._bootstrap_external import _code_to_hash_pyc
from importlib.util import cache_from_source, source_hash

def compile_file(path):
    compiled = cache_from_source(path)
    if os.path.exists(compiled):  # Debian's own, by the hash of their source: they need not look at it
        with open(compiled, "r+b") as file:
            if file.read(8)[4:] == b"\3\0\0\0":
                file.seek(4)
                file.write(b"\1")
                return
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return
    os.makedirs(os.path.dirname(compiled), exist_ok=True)
    with open(compiled, "wb") as file:
        file.write(_code_to_hash_pyc(code, source_hash(source), False))

left_out = re.compile(sys.argv[1])
walked = (walk for top in ("/opt/venv/lib", sysconfig.get_path("stdlib")) for walk in os.walk(top))
paths = [os.path.join(folder, name) for folder, _, names in walked for name in names if name.endswith(".py")]
gc.disable()
with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    for _ in pool.map(compile_file, [path for path in paths if not left_out.search(path)], chunksize=32):
        pass
PYTHON
