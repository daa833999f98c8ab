// `show backends`: those of the configuration in the order of the file, and below each service
// those that were taken out of it and still have connections.
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "control/health_rows.h"
#include "control/pool_view.h"
#include "control/selector.h"
#include "control/show.h"
#include "control/show_rows.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using dataplane::BackendRow;
using protocol::Status;

namespace {

// A backend that workers know as removed; `told` once it has its row.
struct Removed {
  BackendRow row;
  bool told = false;
};

std::span<Removed> of_service(std::vector<Removed>& removed, uint32_t service_id) {
  const auto range = std::ranges::equal_range(removed, service_id, {},
                                              [](const Removed& r) { return r.row.service_id; });
  return {range.begin(), range.end()};
}

class Listing {
 public:
  explicit Listing(Call& call) : call_(call) {
    for (const BackendRow& row : removed_backends(call.state))
      removed_.push_back({row});
  }

  asio::awaitable<void> service(const config::Service& service, const config::Backend* only) {
    uint32_t hint = 0;
    for (const config::Backend& backend : service.backends) {
      if (only != nullptr && only != &backend) continue;
      rows_.push_back(backend_row(call_.state, service, backend, id_of(service, backend, hint)));
      if (rows_.size() == rows_per_piece) co_await flush();
    }
    if (only == nullptr && service.sorry_server) {
      const config::Backend sorry = sorry_backend(*service.sorry_server, false);
      json::object row = backend_row(call_.state, service, sorry, id_of(service, sorry, hint));
      add_sorry(row, call_.state, service);
      rows_.push_back(std::move(row));
    }
    const dataplane::ServiceBlock* block = find_block(call_.state, key_of(service));
    if (block == nullptr || only != nullptr) co_return;
    co_await removed(of_service(removed_, block->id), to_string(key_of(service)), service.port);
  }

  // Of services that are no more.
  asio::awaitable<void> rest() { co_await removed(removed_, "(deleted)", 0); }

  asio::awaitable<void> flush() {
    if (!rows_.empty()) co_await call_.send_rows(std::exchange(rows_, {}));
  }

 private:
  // Looked up for each row: the snapshot may be another one after a pause.
  uint32_t id_of(const config::Service& service, const config::Backend& backend, uint32_t& hint) {
    const dataplane::ServiceBlock* block = find_block(call_.state, key_of(service));
    if (block == nullptr) return dataplane::none;
    const uint32_t id = find_backend_id(call_.state, *block, key_of(backend), hint);
    if (id != dataplane::none) return id;
    for (Removed& disabled : of_service(removed_, block->id)) {
      if (!is_backend(disabled.row, key_of(backend))) continue;
      disabled.told = true;
      return disabled.row.id;
    }
    return dataplane::none;
  }

  asio::awaitable<void> removed(std::span<Removed> list, std::string service, uint16_t port) {
    for (Removed& backend : list) {
      if (std::exchange(backend.told, true)) continue;
      rows_.push_back(removed_backend_row(call_.state, service, port, backend.row));
      if (rows_.size() == rows_per_piece) co_await flush();
    }
  }

  Call& call_;
  std::vector<Removed> removed_;  // sorted by service
  json::array rows_;
};

}  // namespace

asio::awaitable<Status> show_backends(Call& call) {
  const auto config = call.state.config;
  const auto wanted = chosen(call, *config);
  if (!wanted) co_return wanted.error();
  const ServiceRange& range = wanted->services;
  const config::Backend* only =
      wanted->backend ? &config->services[range.begin].backends[*wanted->backend] : nullptr;
  Listing listing(call);
  for (size_t i = range.begin; i < range.end; ++i)
    co_await listing.service(config->services[i], only);
  if (wanted->all) co_await listing.rest();
  co_await listing.flush();
  co_return Status{};
}

}  // namespace headgate::control
