// `headgate apply FILE --confirm-within TIME`: a configuration that runs on probation. Without a
// `headgate confirm` in time it is taken back, whether its client is still there or not, so that a
// mistake that cuts its author off from the machine mends itself.
//
//   none ──apply──> applying ──> waiting ──confirm──────────────────────> none
//                       │           └──rollback, or time is up──> taking_back ──> none
//                       └──refused──> none
//
// From `applying` on other changes of the configuration are refused: what is taken back is exactly
// what was applied. Changes of the kernel, of health and of mastership go on.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "control/changes.h"
#include "control/error.h"
#include "control/peer.h"
#include "control/state.h"

namespace headgate::control {

struct PendingStatus {
  std::string file;
  Peer by;
  std::chrono::system_clock::time_point until;
  std::chrono::milliseconds left{0};
};

class PendingApply {
 public:
  // All outlive the object.
  PendingApply(boost::asio::io_context& loop, boost::asio::thread_pool& pool, State& state,
               Changes& changes);
  ~PendingApply();
  PendingApply(const PendingApply&) = delete;
  PendingApply& operator=(const PendingApply&) = delete;

  // Like reload(), and waits for confirm() from then on, for as long as `within`.
  [[nodiscard]] boost::asio::awaitable<std::expected<ChangeOutcome, Error>> apply(
      Peer by, std::string file, std::chrono::milliseconds within);
  // Keeps what was applied; returns its file, which is the daemon's from now on.
  [[nodiscard]] std::expected<std::string, Error> confirm();
  // Back to the configuration that ran before, as one snapshot, and to its file. When that fails
  // what was applied goes on running, and nothing is pending any more.
  [[nodiscard]] boost::asio::awaitable<std::expected<ChangeOutcome, Error>> roll_back();

  // Of what waits for its confirmation.
  [[nodiscard]] std::optional<PendingStatus> status() const;

 private:
  enum class Stage : uint8_t { none, applying, waiting, taking_back };

  [[nodiscard]] std::string why_held() const;
  [[nodiscard]] Error not_waiting() const;
  void wait(std::chrono::milliseconds within);
  // While `alive` holds.
  [[nodiscard]] boost::asio::awaitable<void> watch(std::weak_ptr<PendingApply*> alive);
  [[nodiscard]] boost::asio::awaitable<std::expected<ChangeOutcome, Error>> take_back();

  boost::asio::io_context& loop_;
  boost::asio::thread_pool& pool_;
  State& state_;
  Changes& changes_;
  Stage stage_ = Stage::none;
  std::string file_;
  Peer by_;
  std::shared_ptr<const config::Config> before_;
  std::string path_before_;
  std::shared_ptr<const config::Config> file_before_;  // what it said
  std::chrono::system_clock::time_point until_;        // for people; timer_ decides
  boost::asio::steady_timer timer_;
  std::shared_ptr<PendingApply*> self_ = std::make_shared<PendingApply*>(this);
};

}  // namespace headgate::control
