// Two hosts on a wire, a loop that lives on the first, and a capture on the second.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <net/if.h>

#include "dataplane/net/address.h"
#include "tests/e2e/namespaces.h"
#include "tests/e2e/raw_socket.h"

namespace headgate::test {

inline net::IpAddress ip(std::string_view text) {
  return net::parse_ip(text).value();
}

class Pair : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "needs root";
    add_wire();
    inside_ = std::make_unique<Inside>(host.fd());
  }

  void add_wire() const {
    host.sh(
        "ip link add here0 address 02:00:00:00:00:01 type veth peer name far0 address "
        "02:00:00:00:00:02 netns " +
        far.path());
    host.sh(
        "ip link set here0 up; ip address add 192.0.2.1/24 dev here0; "
        "ip address add 2001:db8::1/64 dev here0 nodad");
    far.sh(
        "ip link set far0 up; ip address add 192.0.2.2/24 dev far0; "
        "ip address add 2001:db8::2/64 dev far0 nodad");
    wait_for_carrier();
  }
  // Until the kernel has noticed, some while after the far end is up, it drops what is sent.
  void wait_for_carrier() const {
    EXPECT_TRUE(eventually([&] {
      return host.sh("ip link show dev here0").find("state UP") != std::string::npos &&
             far.sh("ip link show dev far0").find("state UP") != std::string::npos;
    }));
  }

  void run_for(std::chrono::milliseconds time) {
    loop.restart();
    loop.run_for(time);
  }
  bool run_until(const std::function<bool()>& condition) {
    return eventually([&] {
      run_for(std::chrono::milliseconds(2));
      return condition();
    });
  }

  // The next frame of this ethertype, with the bytes at `at` as given; empty when none comes.
  static Frame next_frame(const RawSocket& capture, std::string_view type_and_more) {
    for (int i = 0; i < 1000; ++i) {
      Frame frame = capture.receive();
      if (frame.empty() || frame.substr(12).starts_with(type_and_more)) return frame;
    }
    return {};
  }

  NetNamespace host;
  NetNamespace far;
  boost::asio::io_context loop;

 private:
  std::unique_ptr<Inside> inside_;
};

}  // namespace headgate::test
