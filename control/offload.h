// Work that takes longer than the control thread may: it runs on the helper pool, and the coroutine
// that asked goes on, on its own loop, with the result.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace headgate::control {

// `work` must not throw, and nothing it refers to may go away before it returns.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work>> offload(boost::asio::thread_pool& pool,
                                                           Work work) {
  namespace asio = boost::asio;
  using Result = std::invoke_result_t<Work>;
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  // The result travels beside the completion handler, which must be copyable.
  auto result = std::make_shared<std::optional<Result>>();
  auto job = std::make_shared<Work>(std::move(work));
  // A variable: GCC 12 destroys the captures of a temporary twice within co_await's expression.
  auto start = [&pool, loop, result, job](auto handler) {
    asio::post(pool, [loop, result, job, handler = std::move(handler)]() mutable {
      result->emplace((*job)());
      asio::post(loop, std::move(handler));
    });
  };
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(start, asio::use_awaitable);
  co_return std::move(**result);
}

// Lets everything else on the loop have its turn.
inline boost::asio::awaitable<void> yield_to_loop() {
  co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
}

}  // namespace headgate::control
