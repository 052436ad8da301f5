# To be sourced: libfuzzer_clang prints the clang++ (CLANGXX, or that of PATH) that has libFuzzer and
# the sanitizers, and fails where there is none.
libfuzzer_clang() {
  local clang="${CLANGXX:-$(command -v clang++ || true)}" probe works=1
  [ -n "$clang" ] || return 1
  probe="$(mktemp -d)"
  echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/p.cpp"
  "$clang" -fsanitize=fuzzer,address,undefined "$probe/p.cpp" -o "$probe/p" 2>/dev/null || works=0
  rm -rf "$probe"
  [ "$works" = 1 ] && echo "$clang"
}
