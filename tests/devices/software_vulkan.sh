#!/bin/sh
# Unpack SwiftShader, a Vulkan driver that needs no GPU, from Debian's chromium into the folder $1. Nothing is installed.
set -e
mkdir -p "$1"
cd "$1"
apt-get download --quiet chromium-common
dpkg -x chromium-common_*.deb unpacked
mv unpacked/usr/lib/chromium/libvk_swiftshader.so unpacked/usr/lib/chromium/libvulkan.so.1 \
    unpacked/usr/lib/chromium/vk_swiftshader_icd.json .
rm -rf unpacked chromium-common_*.deb
