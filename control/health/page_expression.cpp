#include "control/health/page_expression.h"

#include <map>
#include <mutex>
#include <re2/re2.h>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "config/limits.h"

namespace headgate::control {

namespace asio = boost::asio;

namespace {

// RE2 takes ten nanoseconds for each instruction and byte where its fast way needs too much memory,
// and one for a byte otherwise.
constexpr size_t quick_steps = 200'000;

RE2::Options options() {
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(config::max_regex_memory_bytes);
  return options;
}

}  // namespace

PageExpression::PageExpression(const std::string& text)
    : expression_(std::make_unique<RE2>(text, options())) {}

PageExpression::~PageExpression() = default;

std::expected<std::shared_ptr<const PageExpression>, Error> PageExpression::make(
    const std::string& text) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const PageExpression>> known;
  const std::scoped_lock lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = known.find(text); found != known.end()) {
    if (auto expression = found->second.lock()) return expression;
  }
  auto expression = std::make_shared<const PageExpression>(text);
  const RE2& compiled = *expression->expression_;
  if (!compiled.ok()) {
    return std::unexpected(
        Error{fmt::format("regex {}: {} (RE2 has no references back to groups, and no looking "
                          "ahead or behind)",
                          text, compiled.error())});
  }
  if (compiled.ProgramSize() > config::max_regex_steps) {
    return std::unexpected(Error{fmt::format(
        "regex {}: is too long: it takes {} steps, and {} are allowed; are there high counts?",
        text, compiled.ProgramSize(), config::max_regex_steps)});
  }
  known[text] = expression;
  return expression;
}

bool PageExpression::is_in(std::string_view page) const {
  return RE2::PartialMatch(re2::StringPiece(page.data(), page.size()), *expression_);
}

bool PageExpression::is_slow_for(size_t page_bytes) const {
  return page_bytes * static_cast<size_t>(expression_->ProgramSize()) > quick_steps;
}

// The loop's and a helper's, one of which may have gone on without the other.
struct PageSearch::Shared {
  std::shared_ptr<const PageExpression> expression;
  std::string page;
  asio::steady_timer over;
  std::optional<bool> found;  // the loop's
};

asio::awaitable<std::optional<bool>> PageSearch::find_in(std::string page,
                                                         ProbeClock::time_point deadline) {
  if (helpers_ == nullptr || !expression_->is_slow_for(page.size())) {
    co_return expression_->is_in(page);
  }
  if (!running_.expired()) co_return std::nullopt;
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  asio::steady_timer over(loop, deadline);
  auto shared = std::make_shared<Shared>(expression_, std::move(page), std::move(over),
                                         std::optional<bool>{});
  running_ = shared;
  asio::post(*helpers_, [shared, loop]() mutable {
    const bool found = shared->expression->is_in(shared->page);
    // The timer has to be destroyed on the loop.
    asio::post(loop, [shared = std::move(shared), found] {
      shared->found = found;
      shared->over.cancel();
    });
  });
  boost::system::error_code ignored;
  co_await shared->over.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return shared->found;
}

}  // namespace headgate::control
