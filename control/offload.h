// Work that takes longer than the control thread may: it runs on the helper pool, and the coroutine
// that asked goes on, on its own loop, with the result.
#pragma once

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

// `work` must not throw, and nothing it refers to may go away before it returns: the pool is joined
// before the loop goes.
//
// GCC 12 destroys lambdas twice that own something and are temporaries of a co_await expression, so
// those here are named, or own nothing. Callers name theirs and move them in.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work>> offload(boost::asio::thread_pool& pool,
                                                           Work work) {
  namespace asio = boost::asio;
  std::optional<std::invoke_result_t<Work>> result;
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  // The handler keeps this frame, and all that is referred to in it, until it is called.
  const auto initiate = [&pool, &loop, &work, &result](auto handler) {
    asio::post(pool, [loop, &work, &result, handler = std::move(handler)]() mutable {
      result.emplace(work());
      asio::post(loop, std::move(handler));
    });
  };
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(initiate,
                                                                       asio::use_awaitable);
  co_return std::move(*result);
}

// Lets everything else on the loop have its turn.
inline boost::asio::awaitable<void> yield_to_loop() {
  const boost::asio::any_io_executor loop = co_await boost::asio::this_coro::executor;
  co_await boost::asio::post(loop, boost::asio::use_awaitable);
}

}  // namespace headgate::control
