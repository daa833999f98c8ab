// The words of a command that a user wrote on one line.
//
// boost::program_options::split_unix falls short of a shell: it refuses a backslash before most
// characters, turns \n into a line feed, and takes backslashes within single quotes for escapes.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "control/error.h"

namespace headgate::control {

// As a shell splits: blanks between words, 'literal', "with \" \\ \$ \`", backslash elsewhere
// before any character. Nothing is expanded. An error for a quote without end and for no word at
// all.
[[nodiscard]] std::expected<std::vector<std::string>, Error> split_command(std::string_view text);

// What to run for `text`: its words, or with `shell` {"/bin/sh", "-c", text}. `arguments` come
// after; a shell has them as $1, $2 and so on.
[[nodiscard]] std::expected<std::vector<std::string>, Error> command_words(
    std::string_view text, bool shell, const std::vector<std::string>& arguments = {});

}  // namespace headgate::control
