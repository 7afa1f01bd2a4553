// What stands in the marking page and in the files that it saves.

/** What an answer got. No points: it is open. */
export interface Mark {
  points: number | null;
  comment: string;
}

/** A mark that was typed into the page, and the one it replaces: the merge sees by it what was given elsewhere. By the
 *  time it tells a mark that was typed again from one that it has taken in before. */
export interface Change extends Mark {
  base?: Mark;
  when?: number; // milliseconds since 1970
}

/** By the student's key and the task's name. */
export type Changes = Record<string, Record<string, Change>>;

/** A question with an answer in words. */
export interface Task {
  name: string;
  title: string;
  of: number; // points
  rubric: string; // model answer and marking guide
}

/** Answers and marks are by the task's name. Marks of the whole submission have the empty name. */
export interface Student {
  key: string;
  name: string;
  machine: number; // points given by the tests
  daysLate: number; // whole days
  lateness: string; // the same in words
  answers: Record<string, string>;
  marks: Record<string, Mark>;
}

/** What each day of lateness costs: points, or percent of the student's points. */
export interface LateRule {
  amount: number;
  percent: boolean;
}

/** All that marking_page.py writes into the page. */
export interface PageData {
  assignment: string;
  file: string; // name for the saved marks
  most: number; // points that there are in all
  rule: LateRule | null;
  reusable: string[]; // comments used before
  tasks: Task[];
  students: Student[];
}

/** What a saved file holds, and the draft. The draft knows whether all of it is in a file too. */
export interface SavedMarks {
  assignment: string;
  marks: Changes;
  reusable?: string[];
  saved?: boolean;
}

/** One answer as it is drawn. */
export interface Card {
  student: Student;
  task: Task;
  section: HTMLElement;
  sum: HTMLElement;
}

/** Asks where to save. Not every browser has it. */
export interface SavePicker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}
