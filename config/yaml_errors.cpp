#include "config/yaml_errors.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace headgate::config {
namespace {

// yaml-cpp's words for the mistakes that people make, in ours.
std::string explain(const std::string& message) {
  static const std::array<std::pair<std::string_view, std::string_view>, 16> words{{
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
      {YAML::ErrorMsg::EOF_IN_SCALAR, "quotes that are opened and not closed"},
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

// Where quotes open that the end of the file does not close: the last one from `from` on, counted
// in pairs. An apostrophe within a word or a comment opens nothing.
Position opening_quote(const SourceText& source, size_t from, Position fallback) {
  for (size_t line = from; line < fallback.line; ++line) {
    const std::string_view text = source.line(line);
    char open = 0;
    size_t opened_at = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool begins = i == 0 || std::string_view(" \t[{,:-").contains(text[i - 1]);
      if (open != 0) {
        if (open == '"' && text[i] == '\\')
          ++i;
        else if (text[i] == open)
          open = 0;
      } else if (text[i] == '#' && begins) {
        break;
      } else if (begins && (text[i] == '"' || text[i] == '\'')) {
        open = text[i];
        opened_at = i;
      }
    }
    if (open != 0) return source.position(line, opened_at);
  }
  return fallback;
}

}  // namespace

Complaint syntax_error(const SourceText& source, const YAML::Exception& error, size_t last_line) {
  if (error.mark.is_null()) return {{}, explain(error.msg)};
  const auto line = static_cast<size_t>(std::max(error.mark.line, 0));
  const Position where = source.position(line, static_cast<size_t>(std::max(error.mark.column, 0)));
  if (error.msg == YAML::ErrorMsg::EOF_IN_SCALAR) {
    return {opening_quote(source, last_line, where), explain(error.msg)};
  }
  // A tab in front of a line is behind most errors that follow it, whatever they are called.
  for (const size_t near : {line, line - 1}) {
    const std::string_view text = source.line(near);
    const size_t tab = text.substr(0, text.find_first_not_of(" \t")).find('\t');
    if (tab != std::string_view::npos) {
      return {source.position(near, tab), "a tab in the indentation: YAML takes spaces only"};
    }
  }
  return {where, explain(error.msg)};
}

}  // namespace headgate::config
