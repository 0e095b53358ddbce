// Lines at the bottom of a terminal that change while a command works, one for each thing that it
// is busy with. The only place that knows how a terminal is painted.
#pragma once

#include <map>
#include <ostream>
#include <string>

namespace kcni::cli {

class LiveLines {
 public:
  /// columns 0: out is no terminal, and nothing is ever drawn. No more lines than rows are.
  LiveLines(std::ostream& out, std::size_t columns, std::size_t rows)
      : out_(out), columns_(columns), rows_(rows) {}

  /// As wide as the terminal on standard error is; 0 when it is none, or a dumb one.
  static std::size_t columns_of_stderr();
  /// As many as that terminal shows, less the prompt's.
  static std::size_t rows_of_stderr();

  bool on_terminal() const { return columns_ > 0; }
  bool empty() const { return lines_.empty(); }

  /// Draws them anew with this one. The text becomes one printable line, cut at the terminal's
  /// edge.
  void set(const std::string& id, const std::string& text);
  void drop(const std::string& id);
  /// These instead of all there are, drawn at once.
  void assign(const std::map<std::string, std::string>& texts);

  /// Takes them off the screen, for whoever prints something; show() or set() brings them back.
  void hide();
  void show();

 private:
  std::ostream& out_;
  std::size_t columns_;
  std::size_t rows_;
  std::size_t drawn_ = 0;  ///< lines on the screen now
  std::map<std::string, std::string> lines_;
};

/// "[######....] 6/10"
std::string bar(std::size_t done, std::size_t total);

}  // namespace kcni::cli
