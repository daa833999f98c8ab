#include "config/yaml_tree.h"

#include <algorithm>
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
#include "config/source_text.h"
#include "config/yaml_errors.h"

namespace headgate::config {
namespace {

// Thrown by the handler through yaml-cpp to end the parse, and caught in build().
struct Refused : std::exception {
  Refused(const YAML::Mark& mark, std::string text) : where(mark), message(std::move(text)) {}
  YAML::Mark where;
  std::string message;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const SourceText& source, std::vector<YamlNode>& nodes)
      : source_(source), nodes_(nodes) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const uint32_t node = add(mark, YamlNode::Kind::null);
    place_empty(nodes_[node], mark);
    remember(anchor, node, 1);
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

  // Where the last value began: what is broken comes after it.
  [[nodiscard]] size_t last_line() const { return last_line_; }

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
                  "a tag ('!' before a value) has no meaning here: remove it, or quote the value");
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
    last_line_ = static_cast<size_t>(std::max(mark.line, 0));
    const Position where =
        source_.position(last_line_, static_cast<size_t>(std::max(mark.column, 0)));
    node.kind = kind;
    node.line = where.line;
    node.column = where.column;
    attach(index);
    return index;
  }
  void attach(uint32_t node) {
    if (!open_.empty()) nodes_[open_.back().node].children.push_back(node);
  }

  // yaml-cpp gives a value that is not there the position of what follows it, which may be in
  // another section: take the key's, or that of the '-' above.
  void place_empty(YamlNode& node, const YAML::Mark& mark) {
    if (open_.empty()) return;
    const YamlNode& parent = nodes_[open_.back().node];
    const size_t child = parent.children.size() - 1;
    const auto line = static_cast<size_t>(std::max(mark.line, 0));
    if (parent.kind == YamlNode::Kind::map) {
      const YamlNode& key = nodes_[parent.children[child - child % 2]];
      if (key.line == line + 1) return;
      node.line = key.line;
      node.column = key.column;
      return;
    }
    const auto column = static_cast<size_t>(std::max(mark.column, 0));
    if (is_written_null(source_.line(line), column)) return;
    if (const auto dash = source_.empty_element(line, column, parent.line - 1)) {
      node.line = dash->line;
      node.column = dash->column;
    }
  }

  // `null` or ~ as it stands in the file, or nothing between the commas of a list in brackets.
  static bool is_written_null(std::string_view line, size_t column) {
    if (column >= line.size()) return false;
    const std::string_view text = line.substr(column);
    return text.starts_with('~') || text.starts_with(',') || text.starts_with(']') ||
           text.starts_with("null") || text.starts_with("Null") || text.starts_with("NULL");
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

  const SourceText& source_;
  std::vector<YamlNode>& nodes_;
  std::vector<Open> open_;
  std::vector<Anchor> anchors_;
  size_t count_ = 0;
  size_t last_line_ = 0;
};

// Runs yaml-cpp over the text; returns what it objects to, if anything.
std::optional<Complaint> build(const SourceText& source, std::vector<YamlNode>& nodes) {
  TreeBuilder builder(source, nodes);
  const auto at = [&](const YAML::Mark& mark) {
    return source.position(static_cast<size_t>(std::max(mark.line, 0)),
                           static_cast<size_t>(std::max(mark.column, 0)));
  };
  try {
    std::ispanstream stream{std::span<const char>(source.body())};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return std::nullopt;
    const size_t used = nodes.size();
    if (!parser.HandleNextDocument(builder)) return std::nullopt;
    const Position second =
        used < nodes.size() ? Position{nodes[used].line, nodes[used].column} : Position{};
    return Complaint{second,
                     "a second document ('---') in one file: a configuration is one document"};
  } catch (const Refused& refused) {
    return Complaint{at(refused.where), refused.message};
  } catch (const YAML::DeepRecursion& deep) {
    return Complaint{at(deep.mark), "nested too deeply: no configuration needs this"};
  } catch (const YAML::Exception& error) {
    return syntax_error(source, error, builder.last_line());
  } catch (const std::exception& error) {
    return Complaint{{}, fmt::format("cannot be read as YAML: {}", error.what())};
  }
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

std::optional<Complaint> read_nodes(std::string_view text, std::vector<YamlNode>& nodes) {
  if (text.size() > max_file_bytes) {
    return Complaint{{},
                     fmt::format("{} bytes are more than a configuration may have ({})",
                                 text.size(), max_file_bytes)};
  }
  const SourceText source(text);
  if (source.bad_byte()) return source.bad_byte();
  return build(source, nodes);
}

}  // namespace

YamlTree parse_yaml(std::string_view text, std::string_view name) {
  YamlTree tree;
  const std::optional<Complaint> complaint = read_nodes(text, tree.nodes);
  if (tree.nodes.empty()) {
    tree.nodes.push_back({.line = 1, .column = 1, .text = {}, .children = {}});
  }
  if (complaint) {
    tree.errors.push_back({.file = std::string(name),
                           .line = complaint->where.line,
                           .column = complaint->where.column,
                           .path = {},
                           .message = complaint->message});
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
