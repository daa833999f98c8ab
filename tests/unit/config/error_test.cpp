#include "config/error.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

TEST(Error, IsOneLineWithPlacePathAndMessage) {
  Error error{.file = "headgate.yaml",
              .line = 12,
              .column = 9,
              .path = "services[2].port",
              .message = "70000 is above 65535"};
  EXPECT_EQ(to_string(error), "headgate.yaml:12:9: services[2].port: 70000 is above 65535");
  error.severity = Severity::warning;
  EXPECT_EQ(to_string(error),
            "headgate.yaml:12:9: warning: services[2].port: 70000 is above 65535");
}

TEST(Error, LeavesOutWhatItDoesNotKnow) {
  EXPECT_EQ(to_string(Error{.file = {}, .path = "services[2].port", .message = "is bad"}),
            "services[2].port: is bad");
  EXPECT_EQ(to_string(Error{.file = "a.yaml", .path = {}, .message = "cannot be read"}),
            "a.yaml: cannot be read");
}

TEST(Error, WarningsAreNoErrors) {
  std::vector<Error> errors(1);
  errors[0].severity = Severity::warning;
  EXPECT_FALSE(has_errors(errors));
  errors.emplace_back();
  EXPECT_TRUE(has_errors(errors));
}

}  // namespace
}  // namespace headgate::config
