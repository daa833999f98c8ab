// Whatever the reader takes as a configuration has no errors, dumps, reads back the same, and does
// not differ from itself; whatever it refuses it refuses with at least one message of one line.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/diff.h"
#include "config/dump.h"
#include "config/reader.h"
#include "config/validate.h"

namespace {

using namespace headgate::config;

void require(bool holds, const char* what, const std::string& detail) {
  if (holds) return;
  std::fprintf(stderr, "%s\n%s\n", what, detail.c_str());
  std::abort();
}

void check_messages(const std::vector<Error>& errors) {
  for (const Error& error : errors) {
    const std::string text = to_string(error);
    require(!error.message.empty(), "an error without a message", text);
    for (const char c : text) {
      require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f,
              "a control character in a message", text);
    }
  }
}

void check_configuration(const Config& config) {
  const std::vector<Error> errors = validate(config);
  require(!has_errors(errors), "what was read is not valid", to_string(errors));
  const std::string yaml = to_yaml(config);
  const auto again = read_text(yaml, "dump");
  require(again.has_value(), "the dump cannot be read", yaml);
  require(again->config == config, "the dump reads as something else", yaml);
  require(diff(config, config).empty(), "a configuration differs from itself", yaml);
  Config normal = config;
  require(normalize(normal).empty() && normal == config, "what was read is not normal", yaml);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto reading = read_text(text, "fuzz");
  if (reading) {
    check_messages(reading->warnings);
    check_configuration(reading->config);
  } else {
    require(has_errors(reading.error()), "refused without an error", "");
    check_messages(reading.error());
  }
  return 0;
}
