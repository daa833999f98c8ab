#include "control/vrrp/address_queue.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace headgate::control {

namespace asio = boost::asio;

struct AddressQueue::Impl : std::enable_shared_from_this<Impl> {
  using Request = std::function<AddressReport(AddressKeeper&)>;
  struct Job {
    Request request;
    Done done;
  };

  Impl(asio::io_context& io, AddressKeeper given) : loop(io), keeper(std::move(given)) {}

  void push(Request request, Done done) {
    {
      const std::lock_guard lock(mutex);
      jobs.push_back({std::move(request), std::move(done)});
    }
    changed.notify_one();
  }

  // The thread, until it is told to end and nothing waits.
  void serve() {
    while (true) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return ending || !jobs.empty(); });
      if (jobs.empty()) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      AddressReport report = job.request(keeper);
      if (!job.done) continue;
      asio::post(loop, [self = shared_from_this(), done = std::move(job.done),
                        report = std::move(report)] {
        if (!self->closed) done(report);
      });
    }
  }

  asio::io_context& loop;
  AddressKeeper keeper;  // the thread's
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;  // under the mutex, as `ending`
  bool ending = false;
  bool closed = false;  // the loop's
  std::thread thread;
};

AddressQueue::AddressQueue(asio::io_context& loop, AddressKeeper keeper)
    : impl_(std::make_shared<Impl>(loop, std::move(keeper))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->serve(); });
}

AddressQueue::~AddressQueue() {
  impl_->closed = true;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_one();
  impl_->thread.join();
}

void AddressQueue::add(std::vector<InterfaceAddress> addresses, Done done) {
  impl_->push([list = std::move(addresses)](AddressKeeper& keeper) { return keeper.add(list); },
              std::move(done));
}

void AddressQueue::remove(std::vector<InterfaceAddress> addresses, Done done) {
  impl_->push([list = std::move(addresses)](AddressKeeper& keeper) { return keeper.remove(list); },
              std::move(done));
}

void AddressQueue::remove_all(Done done) {
  impl_->push([](AddressKeeper& keeper) { return keeper.remove_all(); }, std::move(done));
}

}  // namespace headgate::control
