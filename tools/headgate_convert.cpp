#include "tools/headgate_convert.h"

#include <ostream>
#include <vector>

#include "config/dump.h"
#include "config/reader.h"

namespace headgate::cli {

int convert(const std::string& file, const config::keepalived::Options& options, std::ostream& out,
            std::ostream& err) {
  const auto reading = config::read_file(file, options);
  if (!reading) {
    err << config::to_string(reading.error()) << file << ": not converted\n";
    return 1;
  }
  std::vector<config::Comment> comments{{.path = {}, .text = "From " + file + "."}};
  for (const config::keepalived::Note& note : reading->notes) {
    err << config::keepalived::to_string(note) << '\n';
    const std::string where = note.line == 0 ? "" : "line " + std::to_string(note.line) + ", ";
    comments.push_back({.path = note.path, .text = where + note.keyword + ": " + note.text});
  }
  out << config::to_yaml(reading->config, comments);
  return 0;
}

}  // namespace headgate::cli
