#include "common/base/task.h"

#include <memory>
#include <stdexcept>
#include <string>

#include "tests/unit/catch.h"

using kcni::all;
using kcni::Task;

namespace {

/// Something to wait for: tasks that await it go on when it is opened.
class Gate {
 public:
  bool await_ready() const { return open_; }
  void await_suspend(std::coroutine_handle<> waiter) { waiters_.push_back(waiter); }
  void await_resume() const {}
  void open() {
    open_ = true;
    for (auto waiter : std::exchange(waiters_, {})) waiter.resume();
  }

 private:
  bool open_ = false;
  std::vector<std::coroutine_handle<>> waiters_;
};

Task<int> value(int number) {
  co_return number;
}

Task<int> value_after(Gate& gate, int number) {
  co_await gate;
  co_return number;
}

Task<> failing(std::string what) {
  throw std::runtime_error(what);
  co_return;
}

Task<int> failing_after(Gate& gate, std::string what) {
  co_await gate;
  throw std::runtime_error(what);
}

Task<> note(std::vector<int>& notes, int number) {
  notes.push_back(number);
  co_return;
}

template <typename T>
T run(Task<T> task) {
  task.start();
  REQUIRE(task.done());
  return task.take();
}

}  // namespace

TEST_CASE("a task starts when it is awaited, not when it is made") {
  std::vector<int> notes;
  auto task = note(notes, 1);
  CHECK(notes.empty());
  auto outer = [](Task<> inner, std::vector<int>& list) -> Task<> {
    list.push_back(0);
    co_await inner;
    list.push_back(2);
  }(std::move(task), notes);
  run(std::move(outer));
  CHECK(notes == std::vector<int>{0, 1, 2});
}

TEST_CASE("values and exceptions reach the awaiter") {
  auto sum = [](Task<int> a, Task<int> b) -> Task<int> { co_return co_await a + co_await b; };
  CHECK(run(sum(value(1), value(2))) == 3);
  auto caught = [](Task<> task) -> Task<std::string> {
    try {
      co_await task;
    } catch (const std::exception& error) {
      co_return error.what();
    }
    co_return "nothing";
  };
  CHECK(run(caught(failing("bad"))) == "bad");
  CHECK_THROWS_WITH(run(failing("worse")), "worse");
}

TEST_CASE("values need not be copyable") {
  auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  CHECK(*run(make()) == 7);
}

TEST_CASE("all waits for the last and keeps the order") {
  Gate first, second;
  std::vector<Task<int>> tasks;
  tasks.push_back(value_after(first, 1));
  tasks.push_back(value(2));
  tasks.push_back(value_after(second, 3));
  auto whole = all(std::move(tasks));
  whole.start();
  CHECK_FALSE(whole.done());
  second.open();
  CHECK_FALSE(whole.done());
  first.open();
  REQUIRE(whole.done());
  CHECK(whole.take() == std::vector<int>{1, 2, 3});
}

TEST_CASE("all of nothing, and of what needs no waiting") {
  CHECK(run(all(std::vector<Task<int>>{})).empty());
  run(all(std::vector<Task<>>{}));
  std::vector<int> notes;
  std::vector<Task<>> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(note(notes, i));
  run(all(std::move(tasks)));
  CHECK(notes == std::vector<int>{0, 1, 2});
}

TEST_CASE("all throws the first exception in order, after all have ended") {
  Gate first, second;
  std::vector<Task<int>> tasks;
  tasks.push_back(failing_after(first, "first"));
  tasks.push_back(failing_after(second, "second"));
  auto whole = all(std::move(tasks));
  whole.start();
  second.open();
  CHECK_FALSE(whole.done());
  first.open();
  REQUIRE(whole.done());
  CHECK_THROWS_WITH(whole.take(), "first");

  std::vector<int> notes;
  std::vector<Task<>> plain;
  plain.push_back(failing("bad"));
  plain.push_back(note(notes, 1));
  CHECK_THROWS_WITH(run(all(std::move(plain))), "bad");
  CHECK(notes == std::vector<int>{1});
}

TEST_CASE("a task that is given up destroys what it holds") {
  Gate gate;
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> watch = held;
  {
    auto task = [](Gate& wait, std::shared_ptr<int> keep) -> Task<> {
      co_await wait;
      ++*keep;
    }(gate, std::move(held));
    task.start();
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
}

TEST_CASE("a moved task is the same task, and assignment lets the old one go") {
  Gate gate;
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> watch = held;
  auto keep = [](Gate& wait, std::shared_ptr<int> kept) -> Task<int> {
    co_await wait;
    co_return *kept;
  };
  auto task = keep(gate, std::move(held));
  task.start();
  {
    auto other = value(5);
    task = std::move(other);
  }
  CHECK(watch.expired());
  CHECK(run(std::move(task)) == 5);
}

TEST_CASE("many tasks do not grow the stack") {
  constexpr int kMany = 1000;
  auto count = [](int many) -> Task<int> {
    int sum = 0;
    for (int i = 0; i < many; ++i) sum += co_await value(1);
    co_return sum;
  };
  CHECK(run(count(kMany)) == kMany);

  Gate gate;
  std::vector<Task<int>> tasks;
  for (int i = 0; i < kMany; ++i) tasks.push_back(value_after(gate, i));
  auto whole = all(std::move(tasks));
  whole.start();
  gate.open();
  REQUIRE(whole.done());
  CHECK(whole.take().size() == kMany);
}
