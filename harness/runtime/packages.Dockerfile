# The slow, rarely changing part of the runtime image: a base, the pinned packages, the model files.
# Built without a network, from a context that `harness image` puts together:
#   packages/*.whl   what requirements*.txt name, fetched on the host with the host's own pip settings
#   tools/pip-*.whl  the pip that installs them; it is not in the image
#   models/*         model files taken out of wheels
ARG BASE_IMAGE

# The wheels stay behind in this stage, which `harness image` removes once the image stands.
FROM ${BASE_IMAGE} AS installed
ARG STAGE_LABEL
LABEL blackbox-video-harness.stage=${STAGE_LABEL}
USER 0:0
RUN python3 -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"BASE_IMAGE has Python {v[0]}.{v[1]}; Python 3.11 is needed")'
COPY tools /wheelhouse/tools
COPY packages /wheelhouse/packages
RUN python3 -m venv --without-pip --symlinks /opt/venv \
 && /opt/venv/bin/python3 "$(echo /wheelhouse/tools/pip-*.whl)/pip" install --isolated --no-cache-dir --no-index --no-deps \
        --no-compile --disable-pip-version-check --root-user-action=ignore --quiet /wheelhouse/packages/*.whl
# The root file system is read-only when a package runs, so what is not compiled here is compiled at every start.
# unchecked-hash: the files never change, and no timestamp may make them look stale. A few packages carry
# templates that are no Python; those are passed over.
RUN /opt/venv/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib >/compile.log 2>&1 || true

FROM ${BASE_IMAGE}
USER 0:0
COPY --from=installed /opt/venv /opt/venv
COPY models /opt/models
# Slim Python images come without the standard library's compiled files.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" >/dev/null 2>&1 || true
