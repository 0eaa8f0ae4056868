# Evaluates a Vagrantfile with a Vagrant that only writes down what it is asked for; prints that as JSON. VirtualBox needs a
# machine that can run it; what is asked of it does not.
require "json"

class Recorder < BasicObject
  def initialize(calls, path)
    @calls = calls
    @path = path
  end

  def method_missing(name, *arguments, **options, &block)
    text = name.to_s
    if text.end_with?("=")
      @calls << [@path + [text.chomp("=")], *arguments]
      return
    end
    if block
      inner = @path + [text, *arguments.map(&:to_s)]
      block.call(::Recorder.new(@calls, inner))
      return
    end
    return ::Recorder.new(@calls, @path + [text]) if arguments.empty? && options.empty?
    @calls << [@path + [text], *arguments, *(options.empty? ? [] : [options])]
  end

  def respond_to_missing?(*)
    true
  end
end

module Vagrant
  CALLS = []
  def self.configure(_version)
    yield Recorder.new(CALLS, [])
  end
end

load ARGV.fetch(0)
puts JSON.generate(Vagrant::CALLS)
