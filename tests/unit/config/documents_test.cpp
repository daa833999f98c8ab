// The examples and docs/configuration.md say what the reader does.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/dump.h"
#include "config/keys.h"
#include "config/reader.h"
#include "config/yaml_tree.h"
#include "tests/unit/config/support.h"

namespace headgate::config {
namespace {

constexpr std::string_view examples = "config/examples";

TEST(Examples, LoadWithoutErrorsAndWarnings) {
  size_t count = 0;
  const std::string directory = std::string(HEADGATE_SOURCE_ROOT) + "/" + std::string(examples);
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const auto reading = read_file(entry.path());
    ASSERT_TRUE(reading.has_value()) << to_string(reading.error());
    EXPECT_TRUE(reading->warnings.empty()) << to_string(reading->warnings);
    const auto again = read_text(to_yaml(reading->config), "dump.yaml");
    ASSERT_TRUE(again.has_value()) << to_string(again.error());
    EXPECT_EQ(again->config, reading->config) << entry.path();
    ++count;
  }
  EXPECT_EQ(count, 8U);
}

TEST(Examples, ThereIsOneForEachMode) {
  for (const auto& [mode, word] :
       std::initializer_list<std::pair<Mode, std::string>>{{Mode::dr, "dr"},
                                                           {Mode::nat, "nat"},
                                                           {Mode::fullnat, "fullnat"},
                                                           {Mode::ipip, "ipip"}}) {
    const auto reading = read_text(source_file("config/examples/" + word + ".yaml"), word);
    ASSERT_TRUE(reading.has_value());
    ASSERT_FALSE(reading->config.services.empty());
    EXPECT_EQ(reading->config.services[0].mode, mode);
  }
}

void collect_paths(const YamlTree& tree, const YamlNode& node, const std::string& path,
                   std::set<std::string>& paths) {
  if (node.kind == YamlNode::Kind::map) {
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const std::string& key = tree.nodes[node.children[i]].text;
      std::string below = path;
      if (!below.empty()) below += '.';
      below += key;
      paths.insert(below);
      collect_paths(tree, tree.nodes[node.children[i + 1]], below, paths);
    }
  } else {
    for (const uint32_t child : node.children)
      collect_paths(tree, tree.nodes[child], path, paths);
  }
}

TEST(Examples, EverythingHoldsEveryKey) {
  const YamlTree tree = parse_yaml(source_file("config/examples/everything.yaml"), "everything");
  std::set<std::string> paths;
  collect_paths(tree, tree.root(), "", paths);
  for (const KeyInfo& key : known_keys()) {
    EXPECT_TRUE(paths.contains(key.path)) << key.path << " is missing from everything.yaml";
  }
}

// Cells of the table rows whose first cell is `key` in backquotes, by key.
std::map<std::string, std::vector<std::string>> documented_keys() {
  std::map<std::string, std::vector<std::string>> rows;
  std::istringstream lines(source_file("docs/configuration.md"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    for (size_t at = 2; at < line.size();) {
      const size_t end = line.find(" | ", at - 1);
      const size_t stop = end == std::string::npos ? line.rfind(" |") : end;
      cells.push_back(stop > at ? line.substr(at, stop - at) : "");
      at = stop + 3;
    }
    if (cells.size() != 5) continue;
    rows[cells[0].substr(1, cells[0].size() - 2)] = cells;
  }
  return rows;
}

TEST(Documentation, HasEveryKeyWithItsValuesDefaultAndWhatAChangeTakes) {
  const auto rows = documented_keys();
  for (const KeyInfo& key : known_keys()) {
    const auto row = rows.find(key.path);
    ASSERT_NE(row, rows.end()) << key.path << " is missing from docs/configuration.md";
    const std::vector<std::string>& cells = row->second;
    const std::string expected =
        key.expected.empty() ? (key.is_list ? "list of sections" : "section") : key.expected;
    EXPECT_EQ(cells[1], key.is_list && !key.expected.empty() ? "list: " + expected : expected)
        << key.path;
    if (!key.default_value.empty()) {
      EXPECT_EQ(cells[2], "`" + key.default_value + "`") << key.path;
    }
    EXPECT_EQ(cells[3], key.needs_restart ? "restart" : "reload") << key.path;
    EXPECT_FALSE(cells[4].empty()) << key.path << " has no meaning";
  }
}

TEST(Documentation, HasNoKeyThatTheReaderDoesNotKnow) {
  std::set<std::string> known;
  for (const KeyInfo& key : known_keys())
    known.insert(key.path);
  for (const auto& [key, cells] : documented_keys()) {
    EXPECT_TRUE(known.contains(key)) << key;
  }
}

// Examples begin with `ports` or leave them out.
TEST(Documentation, ItsExamplesAreGood) {
  const std::string text = source_file("docs/configuration.md");
  size_t count = 0;
  for (size_t at = text.find("```yaml\n"); at != std::string::npos;
       at = text.find("```yaml\n", at + 1)) {
    const size_t begin = at + 8;
    std::string example = text.substr(begin, text.find("```", begin) - begin);
    if (!example.starts_with("ports:")) example = "ports: [{name: p, pci: 01:00.0}]\n" + example;
    const auto reading = read_text(example, "configuration.md");
    ASSERT_TRUE(reading.has_value()) << to_string(reading.error()) << example;
    EXPECT_TRUE(reading->warnings.empty()) << to_string(reading->warnings) << example;
    ++count;
  }
  EXPECT_GE(count, 9U);
}

}  // namespace
}  // namespace headgate::config
