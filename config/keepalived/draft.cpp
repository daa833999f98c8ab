#include "config/keepalived/draft.h"

#include <utility>

#include "config/limits.h"

namespace headgate::config::keepalived {

const std::string& Draft::file_of(const Statement& statement) const {
  return source_.files[statement.place.file];
}

void Draft::note(const Statement& statement, std::string text, std::string path) {
  if (notes.size() == max_keepalived_notes) {
    text = "there is more to be said of the rest of the file, which is left out";
  } else if (notes.size() > max_keepalived_notes) {
    return;
  }
  notes.push_back({.file = file_of(statement),
                   .line = statement.place.line,
                   .keyword = statement.keyword(),
                   .text = std::move(text),
                   .path = std::move(path),
                   .mistake = false});
}

void Draft::mistake(const Statement& statement, std::string text, std::string path) {
  note(statement, std::move(text), std::move(path));
  notes.back().mistake = true;  // of many, the last one stands for the rest
}

void Draft::error(const Statement& statement, std::string text) {
  if (errors.size() >= max_keepalived_errors) return;
  errors.push_back({.file = file_of(statement),
                    .line = statement.place.line,
                    .path = statement.keyword(),
                    .message = std::move(text)});
}

void Draft::error(std::string text) {
  errors.push_back({.file = source_.files.front(), .path = {}, .message = std::move(text)});
}

void Draft::place(std::string path, const Statement& statement) {
  places_.insert_or_assign(std::move(path),
                           Origin{.place = statement.place, .keyword = statement.keyword()});
}

void Draft::copy_places(const std::string& from, const std::string& to) {
  for (auto it = places_.lower_bound(from); it != places_.end() && it->first.starts_with(from);
       ++it) {
    places_.insert_or_assign(to + it->first.substr(from.size()), it->second);
  }
}

const Draft::Origin* Draft::origin_of(std::string_view path) const {
  while (!path.empty()) {
    if (const auto found = places_.find(path); found != places_.end()) return &found->second;
    const size_t end = path.find_last_of(".[");
    path = path.substr(0, end == std::string_view::npos ? 0 : end);
  }
  return nullptr;
}

void Draft::locate(Error& error) const {
  const Origin* origin = origin_of(error.path);
  error.file = source_.files[origin == nullptr ? 0 : origin->place.file];
  error.line = origin == nullptr ? 0 : origin->place.line;
}

Note Draft::located(const std::string& path, std::string text) const {
  const Origin* origin = origin_of(path);
  return {.file = source_.files[origin == nullptr ? 0 : origin->place.file],
          .line = origin == nullptr ? 0 : origin->place.line,
          .keyword = origin == nullptr ? std::string{} : origin->keyword,
          .text = std::move(text),
          .path = path,
          .mistake = false};
}

void Draft::note_at(const std::string& path, std::string text) {
  notes.push_back(located(path, std::move(text)));
}

}  // namespace headgate::config::keepalived
