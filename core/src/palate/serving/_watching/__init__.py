"""What an operator sees of a server: numbers that its workers share, and the lines of its logs."""
