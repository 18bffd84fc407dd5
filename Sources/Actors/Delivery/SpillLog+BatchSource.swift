extension SpillLog: BatchSource {}
