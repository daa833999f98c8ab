// Whatever is taken as a keepalived.conf gives a configuration that is valid and normal, and a dump
// with its notes that reads back as the same; whatever is refused is refused with an error of one
// line.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/dump.h"
#include "config/keepalived/keepalived.h"
#include "config/reader.h"
#include "config/validate.h"

namespace {

using namespace headgate::config;

void require(bool holds, const char* what, const std::string& detail) {
  if (holds) return;
  std::fprintf(stderr, "%s\n%s\n", what, detail.c_str());
  std::abort();
}

void check_message(const std::string& text) {
  for (const char c : text) {
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a control character in a message",
            text);
  }
}

void check_conversion(const keepalived::Conversion& conversion) {
  const std::vector<Error> errors = validate(conversion.config);
  require(!has_errors(errors), "what was converted is not valid", to_string(errors));
  std::vector<Comment> comments;
  for (const keepalived::Note& note : conversion.notes) {
    require(!note.text.empty(), "a note without a text", note.keyword);
    check_message(to_string(note));
    comments.push_back({.path = note.path, .text = note.text});
  }
  const std::string yaml = to_yaml(conversion.config, comments);
  const auto again = read_text(yaml, "dump");
  require(again.has_value(), "the dump cannot be read", yaml);
  require(again->config == conversion.config, "the dump reads as something else", yaml);
  for (const keepalived::Note& note : conversion.notes) {
    // A long comment is broken into lines: its first word is enough.
    const std::string word = note.text.substr(0, note.text.find(' '));
    require(yaml.contains("# " + word) || yaml.contains(word), "a note is not in the dump",
            note.text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const keepalived::Options options{
      .config_id = "headgate", .ports = {"wan=vdev:net_null0"}, .includes = false};
  const auto conversion = keepalived::convert(text, "fuzz.conf", options);
  if (conversion) {
    check_conversion(*conversion);
    return 0;
  }
  require(has_errors(conversion.error()), "refused without an error", "");
  for (const Error& error : conversion.error()) {
    require(!error.message.empty(), "an error without a message", error.path);
    check_message(to_string(error));
  }
  return 0;
}
