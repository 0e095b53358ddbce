# One throw-away cluster for all the files of this folder, as for those of tests/cli.
# shellcheck source=tests/cli/setup_suite.bash
. "$BATS_TEST_DIRNAME/../cli/setup_suite.bash"
