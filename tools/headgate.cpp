// The command line of the load balancer: one request to the daemon, its reply printed. `convert`
// alone needs no daemon.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "tools/headgate_client.h"
#include "tools/headgate_convert.h"
#include "tools/headgate_options.h"
#include "tools/headgate_render.h"

namespace {

int convert(const boost::json::object& arguments) {
  headgate::config::keepalived::Options options;
  if (const auto* id = arguments.if_contains("config_id")) options.config_id = id->as_string();
  if (const auto* ports = arguments.if_contains("ports")) {
    for (const boost::json::value& port : ports->as_array())
      options.ports.emplace_back(port.as_string());
  }
  return headgate::cli::convert(std::string(arguments.at("conf").as_string()), options, std::cout,
                                std::cerr);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace headgate;
  const char* environment = std::getenv("HEADGATE_SOCKET");
  const auto invocation = cli::parse(std::vector<std::string>(argv + 1, argv + argc),
                                     environment == nullptr ? "" : environment);
  if (!invocation) {
    (invocation.error().exit_status == 0 ? std::cout : std::cerr) << invocation.error().text;
    return invocation.error().exit_status;
  }
  if (invocation->request.command == "convert") return convert(invocation->request.arguments);
  const cli::Format format{.json = invocation->json,
                           .exact = invocation->exact,
                           .rates = invocation->rates,
                           .detail = invocation->request.arguments.contains("name")};
  const auto renderer = cli::make_renderer(invocation->request.command, format);
  const auto status = cli::exchange(
      invocation->socket, invocation->request, invocation->timeout,
      [&](const boost::json::array& rows) { std::cout << renderer->rows(rows) << std::flush; });
  if (!status) {
    std::cerr << "headgate: " << status.error() << "\n";
    return cli::exit_unreachable;
  }
  std::cout << renderer->end(*status) << std::flush;
  if (status->code != control::protocol::Code::ok) {
    std::cerr << "headgate: " << status->message << "\n";
  }
  return static_cast<int>(status->code);
}
