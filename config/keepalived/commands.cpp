#include "config/keepalived/commands.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/keepalived/values.h"
#include "config/text.h"

namespace headgate::config::keepalived {
namespace {

struct Argument {
  std::string text;
  bool quoted = false;
};

// The arguments of a script: blanks part them, single or double quotes keep them together.
std::vector<Argument> split_arguments(std::string_view text) {
  std::vector<Argument> arguments;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    if (quote == 0 && blank) {
      in_word = false;
      continue;
    }
    if (!in_word) arguments.emplace_back();
    in_word = true;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      arguments.back().quoted = true;
    } else if (c == quote) {
      quote = 0;
    } else {
      if (c == '\\' && quote != '\'' && i + 1 < text.size()) ++i;
      arguments.back().text += text[i];
    }
  }
  return arguments;
}

// Whether an author who wrote this counted on a shell. Operators are words of their own or stand at
// a word's edge: an address like http://host/?a=1&b=2 has none.
bool is_operator(std::string_view word) {
  static constexpr std::array<std::string_view, 9> alone{"&&", "||", "|",  "&",   "[[",
                                                         "(",  "{",  "if", "exit"};
  static constexpr std::array<std::string_view, 6> before{">", "<", "1>", "2>", "&>", "("};
  return std::ranges::find(alone, word) != alone.end() || word.ends_with(';') ||
         std::ranges::any_of(before, [&](std::string_view edge) { return word.starts_with(edge); });
}

bool is_shell_syntax(std::string_view text) {
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'') {
      ++i;
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != '\'' && (c == '`' || c == '$')) {
      return true;
    }
  }
  const std::vector<Argument> words = split_arguments(text);
  return std::ranges::any_of(
      words, [](const Argument& word) { return !word.quoted && is_operator(word.text); });
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c >= 0x80 ||
           std::string_view("_./-+=:,@%[]^~{}#!").contains(static_cast<char>(c));
  });
}

std::string in_single_quotes(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

}  // namespace

std::optional<std::string> user(Draft& draft, const Statement& statement, size_t index) {
  if (index >= statement.words.size()) return std::nullopt;
  std::string result = statement.words[index].text;
  if (index + 1 < statement.words.size()) result += ":" + statement.words[index + 1].text;
  only(draft, statement, index + 2);
  return result;
}

std::optional<Command> command(Draft& draft, const Statement& statement, const std::string& path) {
  if (statement.words.size() < 2 || statement.words[1].text.empty()) {
    draft.error(statement, "a command is missing");
    return std::nullopt;
  }
  const Word& word = statement.words[1];
  Command result{.text = {}, .user = user(draft, statement, 2)};
  if (is_shell_syntax(word.text)) {
    result.text = "/bin/bash -c " + in_single_quotes(word.text);
    draft.note(statement,
               "has a shell's syntax and is given to /bin/bash; keepalived runs scripts without a "
               "shell since version 2.0, so that this one does nothing there",
               path);
    return result;
  }
  const std::vector<Argument> arguments = split_arguments(word.text);
  // A program without a path is looked up in PATH, which only env does here.
  if (!arguments.empty() && !arguments.front().text.contains('/')) result.text = "/usr/bin/env";
  for (const Argument& argument : arguments) {
    if (!result.text.empty()) result.text += ' ';
    result.text += is_plain(argument.text) ? argument.text : in_single_quotes(argument.text);
  }
  return result;
}

void share_user(Draft& draft, const Statement& statement, const Command& command,
                std::optional<std::string>& user, bool first) {
  if (first) {
    user = command.user;
  } else if (command.user != user) {
    draft.note(statement, fmt::format("all commands of one block run as one user here: {}",
                                      user ? in_quotes(*user) : "that of script_user"));
  }
}

}  // namespace headgate::config::keepalived
