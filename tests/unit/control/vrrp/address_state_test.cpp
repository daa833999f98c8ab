// The file that says which addresses are ours.
#include "control/vrrp/address_state.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

AddressState example() {
  return {.promoted = {{"eth0", 7}},
          .addresses = {{{"eth0", 7}, net::parse_prefix("192.0.2.80/24").value()},
                        {{"eth1.5", 9}, net::parse_prefix("2001:db8::80/128").value()}}};
}

std::string temporary_path() {
  return testing::TempDir() + "headgate-addresses-" + std::to_string(getpid());
}

TEST(AddressState, IsReadAsItWasWritten) {
  EXPECT_EQ(to_text(example()),
            "headgate addresses 1\npromote eth0 7\naddress eth0 7 192.0.2.80/24\n"
            "address eth1.5 9 2001:db8::80/128\n");
  EXPECT_EQ(parse_address_state(to_text(example())), example());
}

TEST(AddressState, RefusesWhatItDidNotWrite) {
  const std::string first = "headgate addresses 1\n";
  EXPECT_TRUE(parse_address_state(first));
  EXPECT_FALSE(parse_address_state(""));
  EXPECT_FALSE(parse_address_state("headgate addresses 2\n"));
  EXPECT_FALSE(parse_address_state(first + "address eth0 7\n"));
  EXPECT_FALSE(parse_address_state(first + "address eth0 7 192.0.2.300/24\n"));
  EXPECT_FALSE(parse_address_state(first + "address eth0 0 192.0.2.80/24\n"));
  EXPECT_FALSE(parse_address_state(first + "address eth0 seven 192.0.2.80/24\n"));
  EXPECT_FALSE(parse_address_state(first + "other eth0 7\n"));
}

TEST(AddressState, FileComesAndGoesWithWhatThereIsToSay) {
  const std::string path = temporary_path();
  ASSERT_TRUE(save(example(), path));
  EXPECT_EQ(load_address_state(path).value(), example());
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  ASSERT_TRUE(save({}, path));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(load_address_state(path).value(), AddressState{});
}

TEST(AddressState, DamagedFileIsAnErrorThatNamesIt) {
  const std::string path = temporary_path() + "-damaged";
  std::ofstream(path) << "headgate addresses 1\naddress eth";
  const auto state = load_address_state(path);
  ASSERT_FALSE(state);
  EXPECT_TRUE(state.error().text.starts_with(path)) << state.error().text;
  std::filesystem::remove(path);
}

TEST(AddressState, DirectoryThatIsMissingIsAnError) {
  const auto saved = save(example(), "/nonexistent/headgate/addresses");
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().text.find("No such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace headgate::control
