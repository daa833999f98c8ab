#include "config/yaml_tree.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <optional>
#include <spanstream>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "config/limits.h"

namespace headgate::config {
namespace {

struct Position {
  uint32_t line = 1;
  uint32_t column = 1;
};

// Thrown by the handler through yaml-cpp to end the parse, and caught in parse_yaml.
struct Refused : std::exception {
  Refused(const YAML::Mark& mark, std::string text) : where(mark), message(std::move(text)) {}
  YAML::Mark where;
  std::string message;
};

// Length of the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates), 0 if it is none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0};
  };
  const auto follows = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const uint8_t low = first == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const uint8_t low = first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

struct BadByte {
  Position where;
  std::string message;
};

std::optional<BadByte> find_bad_byte(std::string_view text) {
  Position where;
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<uint8_t>(text[at]);
    const size_t length = utf8_length(text, at);
    if (length == 0) {
      return BadByte{where,
                     fmt::format("byte 0x{:02x} is not UTF-8: save the file as UTF-8 text", byte)};
    }
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) {
      return BadByte{where, fmt::format("control character 0x{:02x}: remove it; a configuration is "
                                        "plain text",
                                        byte)};
    }
    if (byte == '\n') {
      ++where.line;
      where.column = 1;
    } else {
      ++where.column;
    }
    at += length;
  }
  return std::nullopt;
}

// yaml-cpp's words for the mistakes that people make, in ours.
std::string explain(const std::string& message) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 17> words{{
      {YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab in the indentation: YAML takes spaces only"},
      {YAML::ErrorMsg::MAP_VALUE,
       "a ':' in a place where no key can be: check the indentation of this line and the one "
       "above, "
       "and quote a value that holds ': '"},
      {YAML::ErrorMsg::MAP_KEY, "a key in a place where none can be: check the indentation"},
      {YAML::ErrorMsg::BLOCK_ENTRY,
       "a '-' in a place where no list can begin: check the indentation"},
      {YAML::ErrorMsg::END_OF_MAP,
       "this line fits neither the section it is in nor the one around it: check the indentation, "
       "and that a ':' follows the key"},
      {YAML::ErrorMsg::END_OF_SEQ,
       "this line fits neither the list it is in nor what is around it: check the indentation, and "
       "that each element begins with '- '"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "a '{' without its '}', or a ',' missing"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a '[' without its ']', or a ',' missing"},
      {YAML::ErrorMsg::FLOW_END, "a ']' or '}' that closes nothing"},
      {YAML::ErrorMsg::EOF_IN_SCALAR, "the file ends within quotes: close them"},
      {YAML::ErrorMsg::DOC_IN_SCALAR, "'---' or '...' within quotes: close them first"},
      {YAML::ErrorMsg::UNKNOWN_TOKEN,
       "a character that cannot begin a value: put the value in quotes"},
      {YAML::ErrorMsg::UNKNOWN_ANCHOR, "an alias (*name) without its anchor (&name)"},
      {YAML::ErrorMsg::ALIAS_NOT_FOUND, "a '*' begins an alias: put the value in quotes"},
      {YAML::ErrorMsg::ANCHOR_NOT_FOUND, "a '&' begins an anchor: put the value in quotes"},
      {YAML::ErrorMsg::INVALID_ESCAPE,
       "a '\\' within double quotes begins an escape: write '\\\\' or use single quotes"},
      {YAML::ErrorMsg::ALIAS_CONTENT, "an alias (*name) cannot have a value of its own"},
  }};
  for (const auto& [theirs, ours] : words) {
    if (message.starts_with(theirs)) return std::string(ours);
  }
  return "not valid YAML: " + message;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::vector<YamlNode>& nodes) : nodes_(nodes) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    remember(anchor, add(mark, YamlNode::Kind::null), 1);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp numbers anchors from 1, and knows one from its opening on.
    if (anchor >= anchors_.size() || anchors_[anchor].size == 0) {
      throw Refused(mark,
                    "an alias within the very part that its anchor names: it would have no end");
    }
    count(mark, anchors_[anchor].size);
    attach(anchors_[anchor].node);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    const uint32_t node = add(mark, YamlNode::Kind::scalar);
    nodes_[node].text = value;
    remember(anchor, node, 1);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Anchor {
    uint32_t node = 0;
    size_t size = 0;  // nodes in it, aliases written out; 0 until its end was seen
  };
  struct Open {
    uint32_t node;
    YAML::anchor_t anchor;
    size_t count_before;
  };

  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    // "?" is a plain value and "!" a quoted one.
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refused(mark,
                  "a tag ('!' before a value) has no meaning here: remove it, or quote the "
                  "value");
  }
  void count(const YAML::Mark& mark, size_t nodes) {
    count_ += nodes;
    if (count_ > max_yaml_nodes) {
      throw Refused(mark, fmt::format("more than {} values, aliases written out", max_yaml_nodes));
    }
  }
  uint32_t add(const YAML::Mark& mark, YamlNode::Kind kind) {
    count(mark, 1);
    const auto index = static_cast<uint32_t>(nodes_.size());
    YamlNode& node = nodes_.emplace_back();
    node.kind = kind;
    node.line = static_cast<uint32_t>(mark.line) + 1;
    node.column = static_cast<uint32_t>(mark.column) + 1;
    attach(index);
    return index;
  }
  void attach(uint32_t node) {
    if (!open_.empty()) nodes_[open_.back().node].children.push_back(node);
  }
  void remember(YAML::anchor_t anchor, uint32_t node, size_t size) {
    if (anchor == 0) return;
    if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
    anchors_[anchor] = {node, size};
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    refuse_tag(mark, tag);
    const size_t before = count_;
    const uint32_t node = add(mark, kind);
    nodes_[node].complete = false;
    open_.push_back({node, anchor, before});
  }
  void close() {
    const Open closed = open_.back();
    open_.pop_back();
    nodes_[closed.node].complete = true;
    remember(closed.anchor, closed.node, count_ - closed.count_before);
  }

  std::vector<YamlNode>& nodes_;
  std::vector<Open> open_;
  std::vector<Anchor> anchors_;
  size_t count_ = 0;
};

// Runs yaml-cpp over `text`; returns what it objects to, if anything.
std::optional<BadByte> build(std::string_view text, std::vector<YamlNode>& nodes) {
  const auto at = [](const YAML::Mark& mark) {
    if (mark.is_null()) return Position{};
    return Position{static_cast<uint32_t>(mark.line) + 1, static_cast<uint32_t>(mark.column) + 1};
  };
  try {
    std::ispanstream stream{std::span<const char>(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(nodes);
    if (!parser.HandleNextDocument(builder)) return std::nullopt;
    const size_t used = nodes.size();
    if (parser.HandleNextDocument(builder)) {
      const Position second =
          used < nodes.size() ? Position{nodes[used].line, nodes[used].column} : Position{};
      nodes.resize(std::max<size_t>(used, 1));
      return BadByte{second,
                     "a second document ('---') in one file: a configuration is one document"};
    }
  } catch (const Refused& refused) {
    return BadByte{at(refused.where), refused.message};
  } catch (const YAML::DeepRecursion& deep) {
    return BadByte{at(deep.mark), "nested too deeply: no configuration needs this"};
  } catch (const YAML::Exception& error) {
    return BadByte{at(error.mark), explain(error.msg)};
  } catch (const std::exception& error) {
    return BadByte{{}, fmt::format("cannot be read as YAML: {}", error.what())};
  }
  return std::nullopt;
}

// The child that `step` (key or [index]) names, or nullptr.
const YamlNode* child(const YamlTree& tree, const YamlNode& node, std::string_view step) {
  const auto& children = node.children;
  if (step.starts_with('[')) {
    size_t index = 0;
    std::from_chars(step.data() + 1, step.data() + step.size(), index);
    if (node.kind != YamlNode::Kind::list || index >= children.size()) return nullptr;
    return &tree.nodes[children[index]];
  }
  if (node.kind != YamlNode::Kind::map) return nullptr;
  for (size_t i = 0; i + 1 < children.size(); i += 2) {
    if (tree.nodes[children[i]].text == step) return &tree.nodes[children[i + 1]];
  }
  return nullptr;
}

}  // namespace

YamlTree parse_yaml(std::string_view text, std::string_view name) {
  YamlTree tree;
  std::optional<BadByte> problem;
  if (text.size() > max_file_bytes) {
    problem = BadByte{{},
                      fmt::format("{} bytes are more than a configuration may have ({})",
                                  text.size(), max_file_bytes)};
  } else {
    problem = find_bad_byte(text);
    if (!problem) problem = build(text, tree.nodes);
  }
  if (tree.nodes.empty())
    tree.nodes.push_back({.line = 1, .column = 1, .text = {}, .children = {}});
  if (problem) {
    tree.errors.push_back({.file = std::string(name),
                           .line = problem->where.line,
                           .column = problem->where.column,
                           .path = {},
                           .message = std::move(problem->message)});
  }
  return tree;
}

const YamlNode& YamlTree::locate(std::string_view path) const {
  const YamlNode* node = &root();
  while (!path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    const size_t end = std::min(path.find_first_of(".[", 1), path.size());
    const YamlNode* next = child(*this, *node, path.substr(0, end));
    if (next == nullptr) break;
    node = next;
    path.remove_prefix(end);
  }
  return *node;
}

}  // namespace headgate::config
