// The program's entry: all tests of probes run in a network namespace of their own.
#include <gtest/gtest.h>

#include "tests/support/probe_server.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  headgate::test::enter_own_network();
  return RUN_ALL_TESTS();
}
