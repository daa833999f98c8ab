// A regular expression that is looked for in a page.
//
// By RE2, as pages are a stranger's: its time grows with the page's length and no faster, and it
// needs no stack and a bounded memory. std::regex overflows the stack on a long page, and takes
// for ever on some expressions. What RE2 lacks of ECMAScript is what makes that so: references back
// to a group, and looking ahead and behind.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "control/error.h"
#include "control/health/probers.h"

namespace re2 {
class RE2;
}

namespace headgate::control {

class PageExpression {
 public:
  // The same one for all that give the same text. Pages are bytes here, whatever their encoding: a
  // dot is one of them.
  [[nodiscard]] static std::expected<std::shared_ptr<const PageExpression>, Error> make(
      const std::string& text);

  explicit PageExpression(const std::string& text);
  ~PageExpression();
  PageExpression(const PageExpression&) = delete;
  PageExpression& operator=(const PageExpression&) = delete;

  [[nodiscard]] bool is_in(std::string_view page) const;
  // Whether that may take longer than a loop has, at its worst.
  [[nodiscard]] bool is_slow_for(size_t page_bytes) const;

 private:
  std::unique_ptr<re2::RE2> expression_;
};

// Looks for one in a page after the other: on a thread of `helpers` where it may take long, and
// there are any. The loop's.
class PageSearch {
 public:
  PageSearch() = default;
  PageSearch(std::shared_ptr<const PageExpression> expression, boost::asio::thread_pool* helpers)
      : expression_(std::move(expression)), helpers_(helpers) {}

  [[nodiscard]] bool is_wanted() const { return expression_ != nullptr; }
  // Empty: it was not found out before the deadline, or the search before this one still runs.
  [[nodiscard]] boost::asio::awaitable<std::optional<bool>> find_in(
      std::string page, ProbeClock::time_point deadline);

 private:
  struct Shared;

  std::shared_ptr<const PageExpression> expression_;
  boost::asio::thread_pool* helpers_ = nullptr;
  std::weak_ptr<Shared> running_;
};

}  // namespace headgate::control
