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
# Of the hundreds of models in transformers a package uses one or two: those it compiles itself, in a moment.
echo "Compiling them for a quick start."
standard_library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
/opt/venv/bin/python3 -m compileall -qq -j 0 -x '/tests?/|/transformers/models/' --invalidation-mode unchecked-hash \
    /opt/venv/lib "$standard_library" || true
