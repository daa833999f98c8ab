// AddressKeeper on a thread of its own, so that the kernel's routing lock never holds up the loop
// that sends advertisements. Requests are served in the order in which they were made.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/vrrp/addresses.h"

namespace boost::asio {
class io_context;
}

namespace headgate::control {

class AddressQueue {
 public:
  // On the loop, when the kernel has answered; may be empty.
  using Done = std::function<void(const AddressReport& report)>;

  AddressQueue(boost::asio::io_context& loop, AddressKeeper keeper);
  // Waits for the requests made before; their Done is not called any more.
  ~AddressQueue();
  AddressQueue(const AddressQueue&) = delete;
  AddressQueue& operator=(const AddressQueue&) = delete;

  void add(std::vector<InterfaceAddress> addresses, Done done);
  void remove(std::vector<InterfaceAddress> addresses, Done done);
  void remove_all(Done done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace headgate::control
