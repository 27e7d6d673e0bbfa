#!/usr/bin/env bash
# Everything that docs/reliability.md rests on, from the first to the last: tests/prove.sh [PART...]
#
# Takes about two hours on two cores, an hour of which is waiting for what runs for a set time: SPLINTER_PROVE=short makes that minutes. Needs
# a nightly toolchain (for AddressSanitizer and the fuzzers; without rust-src), a C++ compiler, python3 and valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0
target=${CARGO_TARGET_DIR:-target}
nightly_target=$(rustc -vV | sed -n 's/^host: //p')

if [ "${SPLINTER_PROVE:-}" = short ]; then
  preemptions=1 hostile_seconds=20 copies=2000 fuzz_percent=1 soak_seconds=60
else
  preemptions=2 hostile_seconds=600 copies=20000 fuzz_percent=100 soak_seconds=1800
fi

loom() { # Every schedule of every scenario, up to a number of preemptions.
  SPLINTER_TEST_PREEMPTIONS=$preemptions RUSTFLAGS="--cfg loom -A warnings" CARGO_TARGET_DIR=$target/loom \
    cargo test --locked --release --lib loom
}

mutants() { # Each mutation of docs/mutations.md fails its scenario.
  CARGO_TARGET_DIR=$target .ci/mutants
}

kill_points() { # SIGKILL and SIGSTOP at every step.
  RUSTFLAGS="--cfg kill_points" CARGO_TARGET_DIR=$target/kill_points cargo test --locked --test kill_points -- --nocapture
}

tests() { # As README says, among them kills, copies of files and hostile stores.
  SPLINTER_TEST_COPIES=$copies SPLINTER_TEST_IMAGES=$copies cargo test --locked --all-features
}

hostile() { # Four victims of a process that writes garbage, with guards around their mappings.
  SPLINTER_TEST_SECONDS=$hostile_seconds cargo test --locked --test hostile_peer -- --nocapture
}

sanitizer() { # AddressSanitizer. It maps more than the limit of a victim, and sees only what the compiler wrote.
  RUSTFLAGS="-Zsanitizer=address --cfg portable_copies" CARGO_TARGET_DIR=$target/address SPLINTER_TEST_UNLIMITED=1 SPLINTER_TEST_SECONDS=60 \
    cargo +nightly test --locked --target "$nightly_target" --test hostile_peer --test hostile_store --test sample \
    --test loan --test lossless --test work_queue --test large_messages --test wait_set --test open --test model
}

memcheck() { # valgrind, for which the vDSO is not to be called by hand.
  RUSTFLAGS="--cfg=rustix_use_libc" CARGO_TARGET_DIR=$target/memcheck \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --trace-children=yes" \
    cargo test --locked --test allocations --test loan --test operations --test sample
}

fuzz() { # Ten million executions in all.
  for target_and_executions in frame:4000000 messages:3000000 json:1200000 store_operations:1000000 store_open:800000; do
    fuzz/run $((${target_and_executions#*:} * fuzz_percent / 100)) "${target_and_executions%:*}"
  done
}

soak() { # Everything at once, with a kill each 50 ms; and the same finds each of six defects.
  cargo run --locked --release --example stress -- --processes 8 --kill-every 50ms --seconds $soak_seconds
  cargo build --locked --examples
  cargo test --locked --test stress -- --ignored --nocapture
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(loom mutants kill_points tests hostile sanitizer memcheck fuzz soak)
for part in "${parts[@]}"; do
  printf '\n=== %s (%s)\n' "$part" "$(date +%T)"
  "$part"
done
printf '\n=== proved: %s (%s)\n' "${parts[*]}" "$(date +%T)"
