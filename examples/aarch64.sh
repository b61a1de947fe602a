#!/bin/sh
# Makes a folder whose ./python is the Python of an arm64 Debian with LiteRT, NumPy and Pillow, run by
# QEMU on another processor. Needs Debian or Ubuntu, no root, and: apt install qemu-user-static.
#
#     sh examples/aarch64.sh build/aarch64
#     build/aarch64/python examples/litert_client.py student.tflite photo.jpg
set -eu

out=${1:?"usage: sh examples/aarch64.sh FOLDER"}
here=$(cd "$(dirname "$0")" && pwd)
for program in qemu-aarch64-static apt-get dpkg-deb; do
    command -v "$program" >/dev/null || { echo "needs $program; see the head of $0" >&2; exit 1; }
done
mkdir -p "$out/root" "$out/apt/lists/partial" "$out/apt/cache/archives/partial"
out=$(cd "$out" && pwd)

# Debian's own packages for arm64, by lists of our own: those of this machine stay as they are.
: >"$out/apt/status"
arm64() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root \
        -o Dir::State::lists="$out/apt/lists" -o Dir::State::status="$out/apt/status" \
        -o Dir::Cache="$out/apt/cache" "$@"
}
arm64 update
arm64 install --yes --download-only --no-install-recommends \
    python3-minimal libpython3-stdlib libstdc++6
for package in "$out"/apt/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$out/root"
done

python=$(basename "$(ls "$out"/root/usr/bin/python3.[0-9]*)")
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --upgrade \
    --target "$out/site" --only-binary=:all: --python-version "${python#python}" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    --constraint "$here/../constraints.txt" ai-edge-litert numpy pillow

# LiteRT reads there which processor it runs on; QEMU 7 shows it the one of this machine instead, and
# it crashes. Of -cpu max its int8 comes out wrong; a Cortex-A76 is in many phones and boards.
mkdir -p "$out/root/proc"
cat >"$out/root/proc/cpuinfo" <<EOF
processor	: 0
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x4
CPU part	: 0xd0b
CPU revision	: 1
EOF

cat >"$out/python" <<EOF
#!/bin/sh
export PYTHONPATH='$out/site' PYTHONHOME='$out/root/usr'
exec qemu-aarch64-static -cpu cortex-a76 -L '$out/root' '$out/root/usr/bin/$python' "\$@"
EOF
chmod +x "$out/python"
"$out/python" -c "import ai_edge_litert, platform; print('LiteRT on', platform.machine())"
